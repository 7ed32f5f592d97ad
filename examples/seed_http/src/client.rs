//! The second process: opens all connections, then sends one request on each, and waits for all answers.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::Failure;

/// Connections that are opened at a time: fewer than the server's backlog, or the system drops some.
const OPENING: usize = 256;

type Connection = SendRequest<Empty<Bytes>>;

/// What the requests came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answers {
    pub answered: usize,
    pub shed: usize,
    pub failed: usize,
    pub p50: Duration,
    pub p99: Duration,
}

pub fn run(address: SocketAddr, connections: usize) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    println!("{}", runtime.block_on(requests(address, connections))?);
    Ok(())
}

async fn requests(address: SocketAddr, connections: usize) -> Result<Answers, Failure> {
    let gate = Arc::new(Semaphore::new(OPENING));
    let mut opening = JoinSet::new();
    for _ in 0..connections {
        let gate = Arc::clone(&gate);
        opening.spawn(async move {
            let _turn = gate.acquire_owned().await;
            open(address).await
        });
    }
    let mut open = Vec::new();
    while let Some(connection) = opening.join_next().await {
        open.push(connection??);
    }

    let mut running = JoinSet::new();
    for connection in open {
        running.spawn(request(connection, address));
    }
    let mut open = Vec::new(); // Every connection stays open until the last answer.
    let mut answers = Answers::default();
    let mut latencies = Vec::new();
    while let Some(ended) = running.join_next().await {
        let (connection, status, latency) = ended?;
        match status {
            Some(StatusCode::OK) => answers.answered += 1,
            Some(StatusCode::SERVICE_UNAVAILABLE) => answers.shed += 1,
            _ => answers.failed += 1,
        }
        latencies.push(latency);
        open.push(connection);
    }
    latencies.sort_unstable();
    let at = |percent: usize| latencies.get((latencies.len() * percent / 100).saturating_sub(1));
    answers.p50 = at(50).copied().unwrap_or_default();
    answers.p99 = at(99).copied().unwrap_or_default();
    drop(open);
    Ok(answers)
}

async fn open(address: SocketAddr) -> Result<Connection, Failure> {
    let stream = TcpStream::connect(address).await?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// Sends a request, and says what came back and when, if it was an answer.
async fn request(
    mut connection: Connection,
    address: SocketAddr,
) -> (Connection, Option<StatusCode>, Duration) {
    let request = Request::get("/work")
        .header(hyper::header::HOST, address.to_string())
        .body(Empty::new())
        .expect("a request as it should be");
    let start = Instant::now();
    let status = match connection.send_request(request).await {
        Ok(response) => {
            let status = response.status();
            let body = response.into_body().collect().await;
            body.ok().map(|_| status)
        }
        Err(_) => None,
    };
    (connection, status, start.elapsed())
}

/// What one process tells the other.
impl fmt::Display for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (p50, p99) = (self.p50.as_micros(), self.p99.as_micros());
        write!(
            f,
            "{} {} {} {p50} {p99}",
            self.answered, self.shed, self.failed
        )
    }
}

impl Answers {
    /// What [`Display`](fmt::Display) wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split_whitespace().map(str::parse::<u64>);
        let mut next = || numbers.next()?.ok();
        let mut count = || usize::try_from(next()?).ok();
        let (answered, shed, failed) = (count()?, count()?, count()?);
        Some(Self {
            answered,
            shed,
            failed,
            p50: Duration::from_micros(next()?),
            p99: Duration::from_micros(next()?),
        })
    }
}
