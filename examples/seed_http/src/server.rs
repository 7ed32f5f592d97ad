//! The server: connections on a listener, each with its own front, until it is told to end; then it drains.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::RETRY_AFTER;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpSocket};

use crate::Failure;
use crate::mode::{Answer, Front};
use crate::tally::Tally;

/// Connections that may stand in the system's queue: as many as clients open at a time, and some.
const BACKLOG: u32 = 1024;

/// After a failure to accept, such as too many descriptors.
const PAUSE: Duration = Duration::from_millis(10);

/// A listener on loopback.
pub fn listen() -> io::Result<(TcpListener, SocketAddr)> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    let listener = socket.listen(BACKLOG)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Serves until `end`, then takes no new connection and answers every request that has been read. A ctrl-c during
/// that gives up.
pub async fn serve<F: Front>(
    listener: TcpListener,
    front: F,
    tally: &Arc<Tally>,
    end: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let drain = GracefulShutdown::new();
    let mut end = std::pin::pin!(end);
    loop {
        let accepted = tokio::select! {
            biased; // So that a ctrl-c is heard from the first turn on.
            () = &mut end => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let counted = tally.connections.count();
        let front = Arc::new(front.connection());
        let tally = Arc::clone(tally);
        let service =
            service_fn(move |request| respond(request, Arc::clone(&front), Arc::clone(&tally)));
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        let connection = drain.watch(connection);
        tokio::spawn(async move {
            let _open = counted;
            let _cut_short = connection.await.is_err(); // By the client: nothing is left to do for it.
        });
    }
    drop((listener, front));
    tokio::select! {
        () = drain.shutdown() => Ok(()),
        _ = tokio::signal::ctrl_c() => Err("ended before every request was answered".into()),
    }
}

async fn respond<F: Front>(
    request: Request<Incoming>,
    front: Arc<F>,
    tally: Arc<Tally>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() == "/stats" {
        let (requests, jobs) = (&tally.requests, &tally.jobs);
        let stats = format!("requests {} running {}\n", requests.all(), jobs.now());
        return Ok(Response::new(Full::from(stats)));
    }
    let _open = tally.requests.count();
    Ok(match front.answer().await {
        Answer::Done => Response::new(Full::from("done\n")),
        Answer::Shed => {
            let mut response = Response::new(Full::from("no room\n"));
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            response.headers_mut().insert(RETRY_AFTER, 1.into());
            response
        }
    })
}
