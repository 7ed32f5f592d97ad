use ringmill::stage::{flat_map, map};
use ringmill::{Instances, Pipeline};
use std::convert::Infallible;

#[test]
fn four_stages_run() {
    for workers in [1, 2, 4] {
        let mut out = Vec::new();
        let report = Pipeline::<Infallible>::builder::<u64>()
            .workers(workers)
            .stage("a", Instances::new(1), |_| map(|x: u64| x + 1))
            .stage("b", Instances::new(1), |_| map(|x: u64| x * 2))
            .then("b2", |_| map(|x: u64| x + 1))
            .stage("c", Instances::new(1), |_| map(|x: u64| x - 1))
            .run(0..100_000, |r| out.push(r))
            .unwrap();
        assert_eq!(out.len(), 100_000);
        assert!(
            out.iter()
                .enumerate()
                .all(|(i, &r)| r == (i as u64 + 1) * 2)
        );
        eprintln!("{:?}", report.counters);
    }
}

#[test]
fn ordered_keyed_bound() {
    for workers in [1, 2, 3] {
        let mut out = Vec::new();
        Pipeline::<Infallible>::builder::<u64>()
            .workers(workers)
            .capacity(16)
            .stage("a", Instances::new(3).ordered(8), |_| {
                flat_map(|x: u64| vec![x; (x % 4) as usize])
            })
            .stage("k", Instances::new(2).keyed(|x: &u64| *x), |_| {
                map(|x: u64| x)
            })
            .stage("d", Instances::bound([0]), |_| {
                let seen = std::rc::Rc::new(std::cell::Cell::new(0u64));
                map(move |x: u64| {
                    seen.set(seen.get() + 1);
                    x
                })
            })
            .run(0..20_000, |r| out.push(r))
            .unwrap();
        let mut want: Vec<u64> = (0..20_000u64)
            .flat_map(|x| vec![x; (x % 4) as usize])
            .collect();
        out.sort_unstable();
        want.sort_unstable();
        assert_eq!(out, want);
    }
}

#[test]
fn started() {
    let (mut d, r, p) = Pipeline::<String>::builder::<u64>()
        .stage("a", Instances::new(2).ordered(64), |_| {
            |x: u64| {
                if x == 7_000_000 {
                    Err("seven".to_string())
                } else {
                    Ok(x)
                }
            }
        })
        .start()
        .unwrap();
    let t = std::thread::spawn(move || d.dispatch_all(0..100_000u64));
    let out: Vec<u64> = r.collect();
    assert_eq!(t.join().unwrap().unwrap(), 100_000);
    assert!(out.iter().copied().eq(0..100_000));
    let report = p.join().unwrap();
    eprintln!("{:?} {:?}", report.counters, report.placement);
}
