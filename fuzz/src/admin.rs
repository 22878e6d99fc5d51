//! Requests at the admin API: with the token and without it.

use flow_runtime::store::RunQuery;

use super::daemon::{self, Daemon, Reply, TOKEN};
use super::draw::Draw;

const PATHS: &[&str] = &[
    "/api/v1/status",
    "/api/v1/flows",
    "/api/v1/flows/big",
    "/api/v1/events",
    "/api/v1/events/",
    "/api/v1/runs",
    "/api/v1/runs/",
    "/api/v1/dead",
    "/api/v1/connections",
    "/api/v1/alarms",
    "/api/v1/missing",
    "/api/v1/versions",
    "/api/v1/reload",
    "/api/v1/replay",
    "/api/v1/backtest",
    "/api/v1/alarms/flood%20big/dismiss",
    "/api/v1/openapi.json",
    "/metrics",
    "/healthz",
    "/",
    "/api/v1/flows/big/pause",
    "/api/v1/flows/big/resume",
    "/api/v1/runs/RUN/retry",
    "/api/v1/runs/RUN/cancel",
    "/api/v1/runs/RUN/migrate",
    "/api/v1/runs/RUN/dismiss",
    "/api/v1/events/evt_1/why",
];

const HEADERS: &[&str] = &[
    "X-Flow-Admin: 1",
    "Origin: http://evil.example",
    "Origin: null",
    "Host: evil.example",
    "Sec-Fetch-Site: cross-site",
    "Authorization: Bearer ",
    "Authorization: Basic YTpi",
    "Content-Type: application/json",
    "Accept: text/html",
    "Cookie: a=b",
];

/// Nobody without the token learns or changes anything; with it each request is answered, and none is an internal error.
pub fn admin(bytes: &[u8]) {
    daemon::with(|daemon| {
        let mut draw = Draw(bytes);
        match draw.below(3) {
            0 => closed(daemon, draw.0, false),
            1 => {
                let request = put_together(daemon, &mut draw, false);
                closed(daemon, &request, true);
            }
            _ => {
                let request = put_together(daemon, &mut draw, true);
                let before = state(daemon);
                daemon.to_admin(&request, true).iter().for_each(Reply::sensible);
                if request.starts_with(b"GET ") || request.starts_with(b"HEAD ") {
                    assert_eq!(before, state(daemon), "who asks changes nothing");
                }
            }
        }
        assert_eq!(daemon.service.engine().stats().panics, 0);
    });
}

/// What a request could change: the runs, how far they are, and which flows are paused.
fn state(daemon: &Daemon) -> (u64, Vec<String>, Vec<bool>) {
    let engine = daemon.service.engine();
    let runs = engine.runs(&RunQuery { limit: 50, ..RunQuery::default() }).expect("runs");
    let paused = ["big", "urgent", "told", "sealed", "knocked"].iter().map(|flow| engine.paused_since(flow).is_some());
    (engine.stats().events, runs.iter().map(|run| format!("{} {:?}", run.id, run.status)).collect(), paused.collect())
}

/// A request of pieces; the rest of a path, a query and a body out of the bytes.
fn put_together(daemon: &Daemon, draw: &mut Draw<'_>, with_token: bool) -> Vec<u8> {
    let method = draw.one(&["GET", "POST", "POST", "HEAD", "DELETE", "OPTIONS"]);
    let path = draw.one(PATHS).replace("RUN", &daemon.run);
    let mut headers = String::new();
    if with_token {
        headers.push_str(&format!("Authorization: Bearer {TOKEN}\r\nX-Flow-Admin: 1\r\n"));
    } else {
        for header in draw.some(4, |draw| draw.one(HEADERS)) {
            headers.push_str(header);
            headers.push_str("\r\n");
        }
    }
    let length = draw.below(200).min(draw.0.len());
    let (more, body) = draw.0.split_at(length);
    // What the line of a request could not hold is written as it has to be.
    let more: String = more
        .iter()
        .map(|byte| if matches!(byte, b'!'..=b'~') { char::from(*byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    let head = format!(
        "{method} {path}{more} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn closed(daemon: &Daemon, bytes: &[u8], is_whole: bool) {
    // What cannot be made up is the token; who has it nevertheless is let in.
    if bytes.windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes()) {
        return;
    }
    for reply in daemon.to_admin(bytes, is_whole) {
        reply.sensible();
        assert!(reply.status >= 400 || reply.status == 100, "without a token: {reply:?}");
    }
}
