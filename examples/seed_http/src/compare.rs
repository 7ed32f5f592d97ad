//! The modes side by side, and one of them alone.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;

use tokio::net::TcpListener;

use crate::Failure;
use crate::args::{Options, Which};
use crate::client::Answers;
use crate::limits;
use crate::mode::consumer::Consumer;
use crate::mode::pool::Pool;
use crate::mode::threads::Threads;
use crate::server;
use crate::tally::{Tally, Work};

/// Threads of the async runtime: they only read and write.
const RUNTIME: usize = 2;

/// Each mode with clients in a second process. Fails if a request was not answered.
pub fn run(options: &Options) -> Result<(), Failure> {
    let connections = limits::fit(options.connections);
    for mode in Which::ALL {
        if options.mode.is_some_and(|only| only != mode) {
            continue;
        }
        let tally = Arc::new(Tally::default());
        let (answers, held) = runtime()?.block_on(async {
            let (listener, address) = server::listen()?;
            let clients = tokio::task::spawn_blocking(move || clients(address, connections));
            let mut answers = None;
            let end = async {
                tokio::select! {
                    ended = clients => answers = Some(ended),
                    _ = tokio::signal::ctrl_c() => eprintln!("seed_http: draining"),
                }
            };
            let held = serve_mode(mode, options, listener, &tally, end).await?;
            let answers = answers.ok_or("interrupted")???;
            Ok::<_, Failure>((answers, held))
        })?;
        println!("{}", line(mode, &answers, &tally, held));
        if answers.failed > 0 || answers.answered + answers.shed != connections {
            return Err("a request was not answered".into());
        }
    }
    Ok(())
}

/// Serves one mode until ctrl-c.
pub fn serve(options: &Options) -> Result<(), Failure> {
    let mode = options.mode.unwrap_or(Which::Pool);
    let tally = Arc::new(Tally::default());
    runtime()?.block_on(async {
        let (listener, address) = server::listen()?;
        println!("listening on {address}");
        let end = async {
            let _installed = tokio::signal::ctrl_c().await.is_ok();
            println!("draining {} requests", tally.requests.now());
        };
        serve_mode(mode, options, listener, &tally, end).await
    })?;
    println!("drained: {} requests answered", tally.requests.all());
    Ok(())
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(RUNTIME)
        .enable_all()
        .build()
}

/// Serves until `end` and drains. The most jobs that were in the pool at once, if that is the mode.
async fn serve_mode(
    mode: Which,
    options: &Options,
    listener: TcpListener,
    tally: &Arc<Tally>,
    end: impl Future<Output = ()>,
) -> Result<Option<u64>, Failure> {
    let work = Work {
        time: options.work,
        jobs: Arc::clone(&tally.jobs),
    };
    match mode {
        Which::Threads => {
            let front = Threads::new(work, options.thread_stack, &tally.threads);
            server::serve(listener, front, tally, end).await?;
            Ok(None)
        }
        Which::Consumer => {
            let (front, thread) = Consumer::start(work, options.capacity, options.shed, tally)?;
            server::serve(listener, front, tally, end).await?;
            thread.join().map_err(|_| "the consumer panicked")?;
            Ok(None)
        }
        Which::Pool => {
            let (front, workers) = Pool::start(work, options, tally)?;
            server::serve(listener, front, tally, end).await?;
            Ok(Some(workers.join()))
        }
    }
}

/// Runs this program once more, as the clients.
fn clients(address: SocketAddr, connections: usize) -> Result<Answers, Failure> {
    let output = Command::new(std::env::current_exe()?)
        .args(["client", &address.to_string(), &connections.to_string()])
        .stderr(Stdio::inherit())
        .output()?;
    let answers = Answers::parse(&String::from_utf8_lossy(&output.stdout));
    answers.ok_or_else(|| format!("the clients ended with {}", output.status).into())
}

fn line(mode: Which, answers: &Answers, tally: &Tally, held: Option<u64>) -> String {
    let Answers { answered, shed, .. } = answers;
    let connections = tally.connections.peak();
    let (jobs, threads) = (tally.jobs.peak(), tally.threads.peak());
    let [p50, p99] = [answers.p50, answers.p99].map(|time| time.as_secs_f64() * 1e3);
    let held = held.map_or_else(String::new, |held| format!(", held {held}"));
    format!(
        "{:<18}: connections {connections}, answered {answered}, shed {shed}, jobs {jobs}, threads {threads}, \
         p50 {p50:.1} ms, p99 {p99:.1} ms{held}",
        mode.name()
    )
}
