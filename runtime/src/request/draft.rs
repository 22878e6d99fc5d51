//! A request before it is written out: what is signed, and where signatures are set.

use std::sync::Arc;

use bytes::Bytes;
use flow_plan::{Env, JsonPath, SignPlace, Signature, Value};

use super::{RequestError, set_header};
use crate::eval::{Scope, eval};
use crate::form::{self, Pairs};
use crate::live::LiveConnection;
use crate::world::{HttpRequest, Reach};

/// A request whose parts can still change.
pub(super) struct Draft {
    pub(super) method: String,
    pub(super) address: Address,
    pub(super) query: Pairs,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: DraftBody,
    pub(super) reach: Reach,
}

/// Where a request goes.
pub(super) struct Address {
    pub(super) url: String,
    /// The parameters that the path brought along, encoded.
    pub(super) query: Vec<String>,
}

/// What a request carries.
pub(super) enum DraftBody {
    None,
    Json(serde_json::Value),
    Form(Pairs),
    Text(String),
}

impl DraftBody {
    /// Returns the text that is sent.
    fn text(&self) -> String {
        match self {
            DraftBody::None => String::new(),
            DraftBody::Json(json) => json.to_string(),
            DraftBody::Form(pairs) => form::encode(pairs),
            DraftBody::Text(text) => text.clone(),
        }
    }

    fn content_type(&self) -> Option<&'static str> {
        match self {
            DraftBody::None => None,
            DraftBody::Json(_) => Some("application/json"),
            DraftBody::Form(_) => Some("application/x-www-form-urlencoded"),
            DraftBody::Text(_) => Some("text/plain; charset=utf-8"),
        }
    }
}

impl Draft {
    /// Returns where parameters are added: the form, where the request carries one, else the address.
    pub(super) fn parameters(&mut self) -> &mut Pairs {
        match &mut self.body {
            DraftBody::Form(pairs) => pairs,
            DraftBody::None | DraftBody::Json(_) | DraftBody::Text(_) => &mut self.query,
        }
    }

    /// Returns all parameters, those of the address and those of the form, as they are before they are encoded.
    pub(super) fn all_parameters(&self) -> Pairs {
        let mut pairs = self.query_pairs();
        if let DraftBody::Form(form) = &self.body {
            pairs.extend(form.iter().cloned());
        }
        pairs
    }

    fn query_pairs(&self) -> Pairs {
        let own = self.address.query.iter().flat_map(|pair| form_urlencoded::parse(pair.as_bytes()).into_owned());
        own.chain(self.query.iter().cloned()).collect()
    }

    /// Computes one signature over the request as it is, and sets it.
    pub(super) fn sign(
        &mut self,
        signature: &Signature,
        connection: &LiveConnection,
        scope: &dyn Scope,
    ) -> Result<(), RequestError> {
        let value = eval(&signature.value, &SignScope { inner: scope, draft: self })?;
        if value.is_missing() {
            // A request without its signature would be refused at best.
            return Err(RequestError::Signature(connection.plan.name.clone()));
        }
        match &signature.place {
            SignPlace::Json(names) => {
                let value = form::json("sign", &value)?;
                if matches!(self.body, DraftBody::None) {
                    self.body = DraftBody::Json(serde_json::Value::Object(serde_json::Map::new()));
                }
                if let DraftBody::Json(json) = &mut self.body {
                    set_json(json, names, value);
                }
            }
            SignPlace::Form(name) => {
                let text = form::scalar_text(name, &value)?;
                if matches!(self.body, DraftBody::None) {
                    self.body = DraftBody::Form(Vec::new());
                }
                if let DraftBody::Form(pairs) = &mut self.body {
                    set_pair(pairs, name, text);
                }
            }
            SignPlace::Query(name) => set_pair(&mut self.query, name, form::scalar_text(name, &value)?),
            SignPlace::Header(name) => set_header(&mut self.headers, name, &form::scalar_text(name, &value)?)?,
        }
        Ok(())
    }

    /// Writes the request out.
    pub(super) fn finish(mut self) -> HttpRequest {
        let own = std::mem::take(&mut self.address.query).into_iter();
        let query: Vec<String> = own.chain((!self.query.is_empty()).then(|| form::encode(&self.query))).collect();
        let mut url = self.address.url;
        if !query.is_empty() {
            url.push('?');
            url.push_str(&query.join("&"));
        }
        if let Some(content_type) = self.body.content_type()
            && !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        {
            self.headers.push(("content-type".to_owned(), content_type.to_owned()));
        }
        let body = Bytes::from(self.body.text());
        HttpRequest { method: self.method, url, headers: self.headers, body, reach: self.reach, guard: None, channel: None }
    }
}

fn set_pair(pairs: &mut Pairs, name: &str, value: String) {
    pairs.retain(|(known, _)| known != name);
    pairs.push((name.to_owned(), value));
}

/// Sets a member; what is on the way to it and no object becomes one.
fn set_json(json: &mut serde_json::Value, names: &[String], value: serde_json::Value) {
    let mut at = json;
    for name in names {
        if !at.is_object() {
            *at = serde_json::Value::Object(serde_json::Map::new());
        }
        let serde_json::Value::Object(fields) = at else { return };
        at = fields.entry(name.clone()).or_insert(serde_json::Value::Null);
    }
    *at = value;
}

/// What a signature can read: what the request could, and the request as it is so far.
struct SignScope<'a> {
    inner: &'a dyn Scope,
    draft: &'a Draft,
}

impl Scope for SignScope<'_> {
    fn event(&self, slot: u16) -> Value {
        self.inner.event(slot)
    }

    fn local(&self, local: u16) -> Value {
        self.inner.local(local)
    }

    fn input(&self, input: u16) -> Value {
        self.inner.input(input)
    }

    fn env(&self, env: &Env) -> Value {
        match env {
            Env::SentBody => Value::text(self.draft.body.text()),
            Env::SentForm => match &self.draft.body {
                DraftBody::Form(pairs) => record(pairs.iter().cloned()),
                DraftBody::None | DraftBody::Json(_) | DraftBody::Text(_) => Value::record([]),
            },
            Env::SentQuery => record(self.draft.query_pairs()),
            other => self.inner.env(other),
        }
    }

    fn raw(&self, path: &JsonPath) -> Value {
        self.inner.raw(path)
    }

    fn answer(&self, path: &JsonPath) -> Value {
        self.inner.answer(path)
    }
}

fn record(pairs: impl IntoIterator<Item = (String, String)>) -> Value {
    Value::record(pairs.into_iter().map(|(name, value)| (Arc::from(name), Value::text(value))))
}
