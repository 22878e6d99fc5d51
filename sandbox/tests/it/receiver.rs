//! A receiver of webhooks that answers as it is told.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// One delivery.
#[derive(Debug)]
pub(crate) struct Delivered {
    pub(crate) headers: hyper::HeaderMap,
    pub(crate) body: Bytes,
}

impl Delivered {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> String {
        self.headers[name].to_str().unwrap().to_owned()
    }
}

pub(crate) struct Receiver {
    pub(crate) url: String,
    deliveries: mpsc::UnboundedReceiver<Delivered>,
    _tasks: JoinSet<()>,
}

impl Receiver {
    /// Starts one that answers with these statuses in turn, then with 200.
    pub(crate) async fn start(statuses: &[u16]) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks", listener.local_addr().unwrap());
        let (sender, deliveries) = mpsc::unbounded_channel();
        let statuses = Arc::new(Mutex::new(VecDeque::from(statuses.to_vec())));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (sender, statuses) = (sender.clone(), Arc::clone(&statuses));
                connections.spawn(async move {
                    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                        let (sender, statuses) = (sender.clone(), Arc::clone(&statuses));
                        async move {
                            let (head, body) = request.into_parts();
                            let body = body.collect().await.unwrap().to_bytes();
                            sender.send(Delivered { headers: head.headers, body }).ok();
                            let status = statuses.lock().unwrap().pop_front().unwrap_or(200);
                            let mut answer = hyper::Response::new(Full::new(Bytes::from_static(b"{}")));
                            *answer.status_mut() = hyper::StatusCode::from_u16(status).unwrap();
                            Ok::<_, Infallible>(answer)
                        }
                    });
                    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Receiver { url, deliveries, _tasks: tasks }
    }

    /// Returns the next delivery.
    pub(crate) async fn next(&mut self) -> Delivered {
        tokio::time::timeout(crate::PATIENCE, self.deliveries.recv()).await.expect("a webhook comes").unwrap()
    }

    /// Returns what has arrived and was not asked for.
    pub(crate) fn rest(&mut self) -> Vec<Delivered> {
        std::iter::from_fn(|| self.deliveries.try_recv().ok()).collect()
    }
}
