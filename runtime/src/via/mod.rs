//! Ways to a service other than HTTP: named schemes that send what an operation sends, and answer as a service would.
//!
//! What they say has the classes of any answer: not done, unknown, refused, broken. So retries, limits, the circuit breaker and
//! the journal are those of all other steps. What they listen to is in [`crate::listen`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use flow_plan::Value;
use rust_decimal::prelude::ToPrimitive;
use serde_json::Value as Json;

use crate::eval::{Required, Scope, eval};
use crate::live::LiveConnection;
use crate::secret::{Least, Secret, Traces};
use crate::world::{HttpAnswer, HttpRequest, TransportError};

mod log;
pub(crate) mod mqtt;
mod smtp;
mod tls;

/// The way to a service, with its settings and secrets. It is never logged or stored.
pub struct Channel {
    /// The scheme.
    pub(crate) scheme: String,
    /// The connection.
    pub(crate) connection: String,
    params: BTreeMap<String, Value>,
    secrets: Vec<Secret>,
    root: PathBuf,
    /// The service is simulated: nothing leaves.
    stand_in: bool,
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel").field("scheme", &self.scheme).field("connection", &self.connection).finish_non_exhaustive()
    }
}

impl Channel {
    /// Returns the way to the service of a connection; `None` where that is HTTP. `scope` has its settings and secrets.
    pub(crate) fn of(connection: &LiveConnection, scope: &dyn Scope) -> Result<Option<Self>, Required> {
        let Some(via) = &connection.plan.api.via else { return Ok(None) };
        let mut params = BTreeMap::new();
        for (name, expr) in &via.params {
            let value = eval(expr, scope)?;
            if !value.is_missing() {
                params.insert(name.clone(), value);
            }
        }
        let (scheme, connection_name) = (via.scheme.clone(), connection.plan.name.clone());
        let secrets = connection.secrets.values().cloned().collect();
        Ok(Some(Self {
            scheme,
            connection: connection_name,
            params,
            secrets,
            root: connection.root.clone(),
            stand_in: connection.stand_in,
        }))
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.params.get(name).and_then(Value::as_text).filter(|text| !text.is_empty())
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        match self.params.get(name) {
            Some(Value::Number(number)) => number.to_u64(),
            _ => None,
        }
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        match self.params.get(name) {
            Some(Value::Bool(flag)) => Some(*flag),
            _ => None,
        }
    }

    /// The file that a parameter names, relative to the project.
    pub(crate) fn file(&self, name: &str) -> Option<PathBuf> {
        self.text(name).map(|path| self.root.join(path))
    }

    /// Takes secrets out of what a peer says.
    fn clean(&self, text: String) -> String {
        Traces::of(self.secrets.iter()).without(&text, Least::Few).unwrap_or(text)
    }
}

/// All ways other than HTTP.
#[derive(Debug, Default)]
pub(crate) struct Channels {
    mqtt: mqtt::Publishers,
}

impl Channels {
    /// Sends what an operation sends.
    pub(crate) async fn send(
        &self,
        channel: &Channel,
        request: &HttpRequest,
        timeout: Duration,
    ) -> Result<HttpAnswer, TransportError> {
        // A check of the way itself has nothing to send.
        if request.body.is_empty() {
            return greet(channel, timeout).await.map_err(|error| cleaned(channel, error));
        }
        let what: Json =
            crate::json::read(&request.body).map_err(|_| TransportError::Refused("there is nothing to send".to_owned()))?;
        let forbids = || request.guard.as_ref().and_then(|guard| (guard.forbids)());
        let sent = match channel.scheme.as_str() {
            "log" => log::write(&what),
            "mqtt" => self.mqtt.publish(channel, &what, timeout, &forbids).await,
            "smtp" => smtp::send(channel, &what, timeout, &forbids).await,
            other => Err(TransportError::Refused(format!("nothing can be sent by `{other}`"))),
        };
        sent.map_err(|error| cleaned(channel, error))
    }
}

/// Comes to the service as to send something, and goes again.
async fn greet(channel: &Channel, timeout: Duration) -> Result<HttpAnswer, TransportError> {
    let greeted = async {
        match channel.scheme.as_str() {
            _ if channel.stand_in => Ok(()),
            "mqtt" => mqtt::greet(channel).await,
            "smtp" => smtp::greet(channel).await,
            other => Err(TransportError::Refused(format!("`{other}` has nothing to check"))),
        }
    };
    tokio::time::timeout(timeout, greeted).await.map_err(|_| TransportError::NotConnected("it took too long".to_owned()))??;
    Ok(done(&Json::Object(serde_json::Map::new())))
}

/// Takes secrets out of what went wrong.
fn cleaned(channel: &Channel, error: TransportError) -> TransportError {
    match error {
        TransportError::NotConnected(text) => TransportError::NotConnected(channel.clean(text)),
        TransportError::NoAnswer(text) => TransportError::NoAnswer(channel.clean(text)),
        TransportError::Later(text) => TransportError::Later(channel.clean(text)),
        TransportError::Broken(text) => TransportError::Broken(channel.clean(text)),
        TransportError::Refused(text) => TransportError::Refused(channel.clean(text)),
    }
}

/// An answer of success.
fn done(result: &Json) -> HttpAnswer {
    HttpAnswer { status: 200, headers: Vec::new(), body: Bytes::from(result.to_string()) }
}

/// What a peer says, for people: one line without control characters, and not too long.
fn shown(text: &str) -> String {
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}
