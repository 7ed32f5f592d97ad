//! Average prices from a feed of trades: two instances parse, and the order stays; a fused stage
//! drops what is empty; two more keep books by symbol; one core counts with state that is not `Send`.
//!
//! `cargo run --release --example pipeline`

use std::collections::BTreeMap;
use std::error::Error;
use std::num::ParseIntError;
use std::{cell::Cell, rc::Rc, thread};

use ringmill::stage::{filter_map, map};
use ringmill::{Instances, Pipeline, allowed_cores};

#[derive(Clone, Copy)]
struct Trade {
    symbol: u64,
    price: u64,
    quantity: u64,
}

fn parse(line: &str) -> Result<Trade, ParseIntError> {
    let mut numbers = line.split(' ').map(str::parse);
    let mut next = || numbers.next().unwrap_or(Ok(0));
    let (symbol, price, quantity) = (next()?, next()?, next()?);
    Ok(Trade {
        symbol,
        price,
        quantity,
    })
}

/// Turnover and volume by symbol.
#[derive(Default)]
struct Book(BTreeMap<u64, (u64, u64)>);

impl Book {
    /// The trade's symbol, and its average price so far.
    fn add(&mut self, trade: Trade) -> (u64, u64) {
        let (turnover, volume) = self.0.entry(trade.symbol).or_default();
        *turnover += trade.price * trade.quantity;
        *volume += trade.quantity;
        (trade.symbol, *turnover / *volume)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let line = |n| format!("{} {} {}", n % 7, 100 + n % 13, n % 5);
    let nonempty = |t: Trade| (t.quantity > 0).then_some(t);
    let in_order = Instances::new(2).ordered(64);
    let by_symbol = Instances::new(2).keyed(|t: &Trade| t.symbol);
    let one_core = Instances::bound([allowed_cores()[0]]);
    let (mut dispatcher, receiver, pipeline) = Pipeline::<ParseIntError>::builder::<String>()
        .stage("parse", in_order, |_| |line: String| parse(&line))
        .then("check", move |_| filter_map(nonempty))
        .stage("book", by_symbol, |_| {
            let mut book = Book::default();
            map(move |trade| book.add(trade))
        })
        .stage("count", one_core, |_| {
            let seen = Rc::new(Cell::new(0));
            map(move |average| (seen.replace(seen.get() + 1), average))
        })
        .start()?;

    let feeder = thread::spawn(move || dispatcher.dispatch_all((0..50_000).map(line)));
    let mut averages = BTreeMap::new();
    for (count, (symbol, price)) in receiver {
        averages.insert(symbol, price);
        if count % 10_000 == 0 {
            println!("trade {count}: {averages:?}");
        }
    }
    feeder.join().expect("the feeder does not panic")?;
    println!("{:?}", pipeline.join()?.counters.stage("book"));
    let mut book = Book::default();
    let trades = (0..50_000).map(|n| parse(&line(n)).expect("made above"));
    let expected = trades.filter_map(nonempty).map(|t| book.add(t));
    assert_eq!(averages, expected.collect());
    Ok(())
}
