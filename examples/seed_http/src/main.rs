//! An HTTP server in front of slow work, three times: a thread for each request, one consumer behind a bounded queue,
//! and a ringmill pool. Clients are in a second process and hold all their connections open at once.
//!
//! ```text
//! cargo run --release -p seed_http                          10,000 connections, one line for each mode
//! cargo run --release -p seed_http -- --connections 200     the same in a second
//! cargo run --release -p seed_http -- --shed                what finds no room is answered with 503
//! cargo run --release -p seed_http -- serve --mode pool     serves until ctrl-c, then drains
//! ```

mod args;
mod client;
mod compare;
mod limits;
mod mode;
mod server;
mod tally;

use std::process::ExitCode;

use args::Command;

/// An error that ends the program.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let command = match args::parse(std::env::args().skip(1)) {
        Ok(command) => command,
        Err(problem) => {
            eprintln!("seed_http: {problem}\n\n{}", args::USAGE);
            return ExitCode::from(2);
        }
    };
    limits::raise_descriptors();
    let end = match command {
        Command::Help => {
            println!("{}", args::USAGE);
            Ok(())
        }
        Command::Compare(options) => compare::run(&options),
        Command::Serve(options) => compare::serve(&options),
        Command::Client {
            address,
            connections,
        } => client::run(address, connections),
    };
    match end {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("seed_http: {failure}");
            ExitCode::FAILURE
        }
    }
}
