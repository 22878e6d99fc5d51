//! A request that must not be sent late: whether it may be is asked once more when its connection stands.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use crate::world::Guard;

tokio::task_local! {
    /// That of the request at hand, whose connection is made in its own task.
    static GUARD: Guard;
}

/// The connection stands, and it is too late.
#[derive(Debug, thiserror::Error)]
#[error("it was not sent: {0}")]
pub(super) struct TooLate(String);

/// Sends a request under its guard.
pub(super) async fn guarded<F: Future>(guard: Option<Guard>, request: F) -> F::Output {
    match guard {
        Some(guard) => GUARD.scope(guard, request).await,
        None => request.await,
    }
}

/// Asks the guard of a request behind the making of its connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct AskAgain;

impl<S> Layer<S> for AskAgain {
    type Service = Asks<S>;

    fn layer(&self, inner: S) -> Asks<S> {
        Asks(inner)
    }
}

#[derive(Debug, Clone)]
pub(super) struct Asks<S>(S);

impl<S, R> Service<R> for Asks<S>
where
    S: Service<R>,
    S::Error: From<TooLate>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, address: R) -> Self::Future {
        let guard = GUARD.try_with(Guard::clone).ok();
        let connecting = self.0.call(address);
        Box::pin(async move {
            let connection = connecting.await?;
            match guard.and_then(|guard| (guard.forbids)()) {
                Some(reason) => Err(TooLate(reason).into()),
                None => Ok(connection),
            }
        })
    }
}
