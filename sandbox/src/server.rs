//! Accepts connections, reads requests, applies faults, and lets the emulator answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::activity::Call;
use crate::connection::{AnswerBody, Connection};
use crate::control;
use crate::emulator::{Emulator, Exchange};
use crate::fault::{Fault, Rule};
use crate::http::{Answer, Request};

/// How many connections one service holds at a time.
const MOST_CONNECTIONS: usize = 4_096;
/// How long a request that gets no answer is held, unless its fault says otherwise.
const HOLD: Duration = Duration::from_secs(600);
/// How long a peer may take to send the head of a request, or its body.
const READ_LIMIT: Duration = Duration::from_secs(30);

/// The connection has to end without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is reset by a fault")]
struct Reset;

/// Serves until it is dropped; connections end with it.
pub(crate) async fn serve(listener: TcpListener, emulator: Arc<dyn Emulator>) {
    let permits = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let requests = Arc::new(AtomicU64::new(1));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, most often: others have to be closed first.
                tracing::warn!(%error, "the sandbox could not accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (emulator, requests) = (Arc::clone(&emulator), Arc::clone(&requests));
        connections.spawn(async move {
            serve_connection(stream, peer, emulator, requests).await;
            drop(permit);
        });
    }
}

async fn serve_connection(stream: TcpStream, peer: SocketAddr, emulator: Arc<dyn Emulator>, requests: Arc<AtomicU64>) {
    let _ = stream.set_nodelay(true);
    let reset = Arc::new(AtomicBool::new(false));
    let connection = Connection::new(stream, Arc::clone(&reset));
    let service = service_fn(move |request| {
        let (emulator, reset) = (Arc::clone(&emulator), Arc::clone(&reset));
        let id = requests.fetch_add(1, Ordering::Relaxed);
        async move {
            let answered = answer(&*emulator, peer, id, request).await;
            if answered.is_err() {
                reset.store(true, Ordering::Release);
            }
            answered
        }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(READ_LIMIT)
        .serve_connection(TokioIo::new(connection), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the sandbox ended early");
    }
}

async fn answer(
    emulator: &dyn Emulator,
    peer: SocketAddr,
    id: u64,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<AnswerBody>, Reset> {
    let (head, body) = request.into_parts();
    let mut request = Request {
        id,
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body: bytes::Bytes::new(),
    };
    let controls = control::is_control(&request.path);
    let limit = if controls { control::BODY_LIMIT } else { emulator.body_limit() };
    let read = tokio::time::timeout(READ_LIMIT, Limited::new(body, limit).collect());
    request.body = match read.await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let answer = emulator.error_answer(413, "Request body too large.").with("connection", "close");
            emulator.log().call(emulator.now(), &request, Some(413), Call::default());
            return Ok(response(&answer));
        }
        Ok(Err(_)) | Err(_) => return Err(Reset),
    };
    if controls {
        return Ok(response(&control::answer(emulator, peer, &request)));
    }
    let mut response = match emulator.faults().strike(&request.method, &request.path) {
        None => response(&answer_soundly(emulator, &request)),
        Some(rule) => answer_with_fault(emulator, &request, &rule).await?,
    };
    date(&mut response, emulator.now());
    Ok(response)
}

/// Dates an answer by the emulator's own clock, unless a fault has dated it otherwise.
fn date(response: &mut hyper::Response<AnswerBody>, now: jiff::Timestamp) {
    let written = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).ok();
    if let Some(date) = written.and_then(|text| hyper::header::HeaderValue::from_str(&text).ok()) {
        response.headers_mut().entry(hyper::header::DATE).or_insert(date);
    }
}

fn answer_soundly(emulator: &dyn Emulator, request: &Request) -> Answer {
    let Exchange { answer, call } = match emulator.admit(request) {
        Some(refused) => refused,
        None => emulator.perform(request, None),
    };
    emulator.log().call(emulator.now(), request, Some(answer.status), call);
    answer
}

/// Lets a request go that was admitted and then dropped, as its client hung up.
struct Admitted<'a> {
    emulator: &'a dyn Emulator,
    request: &'a Request,
    performed: bool,
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        if !self.performed {
            self.emulator.abandon(self.request);
        }
    }
}

async fn answer_with_fault(
    emulator: &dyn Emulator,
    request: &Request,
    rule: &Rule,
) -> Result<hyper::Response<AnswerBody>, Reset> {
    let hold = rule.delay.unwrap_or(HOLD);
    match rule.fault {
        Fault::TimeoutBeforeEffect => {
            log_unperformed(emulator, request, rule, None);
            tokio::time::sleep(hold).await;
            Err(Reset)
        }
        Fault::TimeoutAfterEffect => {
            perform_logged(emulator, request, rule, None, |_| None);
            tokio::time::sleep(hold).await;
            Err(Reset)
        }
        Fault::Reset => {
            if rule.after_effect {
                perform_logged(emulator, request, rule, None, |_| None);
            } else {
                log_unperformed(emulator, request, rule, None);
            }
            tokio::time::sleep(rule.delay.unwrap_or_default()).await;
            Err(Reset)
        }
        Fault::Truncated => {
            let answer = perform_logged(emulator, request, rule, None, |answer| Some(answer.status));
            let body = AnswerBody::truncated(&answer.body);
            Ok(respond(&answer, body))
        }
        Fault::Slow => {
            let refused = emulator.admit(request);
            let Exchange { answer, mut call } = match refused {
                Some(refused) => refused,
                None => {
                    let mut admitted = Admitted { emulator, request, performed: false };
                    tokio::time::sleep(rule.delay.unwrap_or_default()).await;
                    admitted.performed = true;
                    emulator.perform(request, None)
                }
            };
            call.fault = Some(rule.fault.name().to_owned());
            emulator.log().call(emulator.now(), request, Some(answer.status), call);
            Ok(response(&answer))
        }
        Fault::Status => {
            let answer = fault_answer(emulator, rule);
            if rule.after_effect || rule.stored {
                let instead = rule.stored.then_some(&answer);
                perform_logged(emulator, request, rule, instead, |_| Some(answer.status));
            } else {
                log_unperformed(emulator, request, rule, Some(answer.status));
            }
            tokio::time::sleep(rule.delay.unwrap_or_default()).await;
            Ok(response(&answer))
        }
    }
}

/// Performs a request whose real answer the client does not get, or not whole.
fn perform_logged(
    emulator: &dyn Emulator,
    request: &Request,
    rule: &Rule,
    instead: Option<&Answer>,
    status: impl FnOnce(&Answer) -> Option<u16>,
) -> Answer {
    let Exchange { answer, mut call } = match emulator.admit(request) {
        Some(refused) => refused,
        None => emulator.perform(request, instead),
    };
    call.fault = Some(rule.fault.name().to_owned());
    emulator.log().call(emulator.now(), request, status(&answer), call);
    answer
}

fn log_unperformed(emulator: &dyn Emulator, request: &Request, rule: &Rule, status: Option<u16>) {
    let call = Call {
        body: serde_json::Value::String(String::from_utf8_lossy(&request.body).into_owned()),
        idempotency_key: request.header("idempotency-key").map(str::to_owned),
        fault: Some(rule.fault.name().to_owned()),
        summary: format!("fault: {}", rule.fault.name()),
        ..Call::default()
    };
    emulator.log().call(emulator.now(), request, status, call);
}

fn fault_answer(emulator: &dyn Emulator, rule: &Rule) -> Answer {
    let mut answer = match &rule.body {
        Some(serde_json::Value::String(text)) => Answer {
            status: rule.status,
            headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
            body: bytes::Bytes::from(text.clone()),
        },
        Some(body) => Answer::json(rule.status, body),
        None => emulator.error_answer(rule.status, "A fault ordered by the sandbox's control endpoint."),
    };
    for (name, value) in &rule.headers {
        answer.set(name, value.as_str());
    }
    answer
}

fn response(answer: &Answer) -> hyper::Response<AnswerBody> {
    let body = AnswerBody::Whole(Some(answer.body.clone()));
    respond(answer, body)
}

fn respond(answer: &Answer, body: AnswerBody) -> hyper::Response<AnswerBody> {
    let mut response = hyper::Response::new(body);
    if let Ok(status) = hyper::StatusCode::from_u16(answer.status) {
        *response.status_mut() = status;
    }
    for (name, value) in &answer.headers {
        // A fault may name a header that HTTP does not allow; it is left out then.
        if let (Ok(name), Ok(value)) =
            (hyper::header::HeaderName::from_bytes(name.as_bytes()), hyper::header::HeaderValue::from_str(value))
        {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
