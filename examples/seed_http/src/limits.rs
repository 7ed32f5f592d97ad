//! How many descriptors a process may have, and so how many connections.

/// What a process needs beside its connections: the standard ones, the listener, the runtime's.
const OTHERS: u64 = 64;

/// Raises the soft limit to the hard one. Children inherit it.
#[cfg(unix)]
pub fn raise_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, raised)
    {
        eprintln!("seed_http: the limit of descriptors stays as it is: {error}");
    }
}

#[cfg(unix)]
fn descriptors() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

#[cfg(not(unix))]
pub fn raise_descriptors() {}

#[cfg(not(unix))]
fn descriptors() -> Option<u64> {
    None
}

/// As many of `connections` as the limit allows, one descriptor each in either process. Says so if they are fewer.
pub fn fit(connections: usize) -> usize {
    let Some(limit) = descriptors() else {
        return connections;
    };
    let room = usize::try_from(limit.saturating_sub(OTHERS).max(1)).unwrap_or(usize::MAX);
    if room < connections {
        eprintln!(
            "seed_http: only {room} connections, not {connections}: the system allows {limit} descriptors"
        );
    }
    connections.min(room)
}
