//! What the command line says.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

pub const USAGE: &str = "\
usage: seed_http [serve] [OPTION..]
  --connections N     connections open at once [10000]
  --mode MODE         threads, consumer or pool [all; serve: pool]
  --work-ms N         how long a request's work sleeps [5]
  --workers N         workers of the pool [32]
  --capacity N        jobs that may wait in the queue of the consumer or of the pool [256]
  --shed              answer 503 when the queue is full, instead of waiting for room
  --thread-stack N    bytes of stack of a request's thread [65536]";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    Threads,
    Consumer,
    Pool,
}

impl Which {
    pub const ALL: [Self; 3] = [Self::Threads, Self::Consumer, Self::Pool];

    pub fn name(self) -> &'static str {
        match self {
            Self::Threads => "thread per request",
            Self::Consumer => "one consumer",
            Self::Pool => "ringmill pool",
        }
    }
}

impl FromStr for Which {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        match name {
            "threads" => Ok(Self::Threads),
            "consumer" => Ok(Self::Consumer),
            "pool" => Ok(Self::Pool),
            _ => Err(()),
        }
    }
}

#[derive(Debug, Clone)]
pub struct Options {
    pub connections: usize,
    /// All of them if `None`.
    pub mode: Option<Which>,
    pub work: Duration,
    pub workers: usize,
    pub capacity: usize,
    pub shed: bool,
    pub thread_stack: usize,
}

pub enum Command {
    Help,
    Compare(Options),
    Serve(Options),
    /// The second process.
    Client {
        address: SocketAddr,
        connections: usize,
    },
}

pub fn parse(args: impl Iterator<Item = String>) -> Result<Command, String> {
    let mut args = args.peekable();
    if args.next_if_eq("client").is_some() {
        return Ok(Command::Client {
            address: value("client", args.next())?,
            connections: value("client", args.next())?,
        });
    }
    let serves = args.next_if_eq("serve").is_some();
    let mut options = Options {
        connections: 10_000,
        mode: None,
        work: Duration::from_millis(5),
        workers: 32,
        capacity: 256,
        shed: false,
        thread_stack: 64 * 1024,
    };
    while let Some(arg) = args.next() {
        match &*arg {
            "--connections" => options.connections = value(&arg, args.next())?,
            "--mode" => options.mode = Some(value(&arg, args.next())?),
            "--work-ms" => options.work = Duration::from_millis(value(&arg, args.next())?),
            "--workers" => options.workers = value(&arg, args.next())?,
            "--capacity" => options.capacity = value(&arg, args.next())?,
            "--shed" => options.shed = true,
            "--thread-stack" => options.thread_stack = value(&arg, args.next())?,
            "--help" => return Ok(Command::Help),
            _ => return Err(format!("what is {arg:?}?")),
        }
    }
    if options.connections == 0 || options.capacity == 0 {
        return Err("0 connections, or a queue for 0 jobs".to_string());
    }
    Ok(if serves {
        Command::Serve(options)
    } else {
        Command::Compare(options)
    })
}

fn value<T: FromStr>(name: &str, value: Option<String>) -> Result<T, String> {
    let value = value.ok_or_else(|| format!("{name} needs a value"))?;
    value
        .parse()
        .map_err(|_| format!("{name} cannot be {value:?}"))
}
