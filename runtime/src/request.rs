//! Operations and polls to HTTP requests.
//!
//! Nothing here is stored or logged: a request holds secrets and is made anew at each attempt.

use std::sync::Arc;
use std::time::Duration;

use flow_plan::{Api, Body, Effect, Encoding, Env, Expr, JsonPath, Operation, PathPart, Request, SEND, Value};
use url::Url;

use crate::eval::{Required, Scope, eval, holds};
use crate::form::{self, WireError};
use crate::live::LiveConnection;
use crate::via::Channel;
use crate::world::{HttpRequest, Reach};

mod address;
mod draft;

pub(crate) use address::origin_brought;
use address::{destination, holds_secret};
use draft::{Address, Draft, DraftBody};

/// Why a request cannot be made. Trying again does not help: the step is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// A value of the path is missing or empty.
    #[error("a part of the address is missing")]
    MissingPathValue,
    /// A value of the path is `.` or `..`, which no encoding protects.
    #[error("a part of the address is `.` or `..`")]
    DotSegment,
    /// The connector's base or `base_url` is no address of the web.
    #[error("the base address of connection `{connection}` is not usable: {reason}")]
    Base {
        /// The connection.
        connection: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A secret or setting that the authorisation needs is not configured.
    #[error("connection `{0}` has no credentials: a secret that its connector needs is not configured")]
    NoCredentials(String),
    /// An authorisation scheme that this version does not know.
    #[error("the authorisation scheme `{0}` is not known")]
    UnknownScheme(String),
    /// A header would hold a line break or another control character.
    #[error("the value of header `{0}` holds a control character")]
    Header(String),
    /// A header that the connection itself makes, of its secrets and settings, would hold a control character.
    #[error(
        "connection `{connection}`: a secret or setting in header `{header}` holds a control character, such as a line break"
    )]
    ConnectionHeader {
        /// The connection.
        connection: String,
        /// The header.
        header: String,
    },
    /// What the request is signed with cannot be computed.
    #[error(
        "connection `{0}`: the request cannot be signed: a secret that signs it is not configured, or not of the form that is needed"
    )]
    Signature(String),
    /// An address that the run brings is none.
    #[error("the address is not usable: {0}")]
    Address(&'static str),
    /// The address that the run brings is not where the credentials of the connection belong.
    #[error(
        "the address is not at the `base_url` of connection `{0}`: its credentials go nowhere else; use a connection without any for other addresses"
    )]
    Elsewhere(String),
    /// A header that the run brings belongs to the connection, or to HTTP.
    #[error("the header `{0}` is not for a flow to set: credentials stand in flow.toml, as a secret of the connection")]
    OwnHeader(String),
    /// A text is shorter or longer than the service takes.
    #[error("`{name}` has {found} {unit}, and the service takes {least} to {most}")]
    Length {
        /// The input.
        name: String,
        /// How long it is.
        found: usize,
        /// What is counted.
        unit: &'static str,
        /// At least.
        least: u32,
        /// At most.
        most: u32,
    },
    /// The body is larger than may be sent.
    #[error("the body has {found} bytes, and at most {most} may be sent")]
    BodyTooLarge {
        /// How large it is.
        found: usize,
        /// At most.
        most: u32,
    },
    /// What has to be given is nothing. A request without it would ask for something else.
    #[error("`{0}` has to be given, and is nothing")]
    MissingInput(String),
    /// The connector says that the service would not take it.
    #[error("not sent: {0}")]
    NotTaken(String),
    /// The effect is keyed and there is no key.
    #[error("the step has no idempotency key")]
    NoKey,
    /// A value that cannot stand on the wire.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A value that the connector requires.
    #[error(transparent)]
    Required(#[from] Required),
}

/// Returns the request of an operation. `scope` has the inputs, the run's key and the instant of the attempt; settings and
/// secrets are added here.
///
/// # Errors
/// Where the request cannot be made as the connector describes it.
pub fn build(op: &Operation, connection: &LiveConnection, scope: &dyn Scope) -> Result<HttpRequest, RequestError> {
    let scope = ConnectionScope { inner: scope, connection };
    check(op, &scope)?;
    if op.request.method == SEND {
        return sent(&op.request, connection, &scope);
    }
    let mut draft = draft(&op.request, connection, &scope, &[])?;
    if let Effect::Keyed { header, .. } = &op.effect {
        let key = scope.env(&Env::RunKey);
        let key = key.as_text().filter(|key| !key.is_empty()).ok_or(RequestError::NoKey)?;
        set_header(&mut draft.headers, header, key)?;
    }
    for signature in &op.sign {
        draft.sign(signature, connection, &scope)?;
    }
    let request = draft.finish();
    match op.peculiar.max_body {
        Some(most) if request.body.len() > most as usize => Err(RequestError::BodyTooLarge { found: request.body.len(), most }),
        Some(_) | None => Ok(request),
    }
}

/// Returns why nothing is asked of a service where an input that has to be given is nothing.
pub(crate) fn not_given(op: &Operation, inputs: &[Value]) -> Option<RequestError> {
    let is_missing = |at: usize| inputs.get(at).is_none_or(Value::is_missing);
    let missing = op.inputs.iter().enumerate().find(|(at, input)| !input.optional && is_missing(*at));
    missing.map(|(_, input)| RequestError::MissingInput(input.name.clone()))
}

/// What the service would not take is not sent.
fn check(op: &Operation, scope: &dyn Scope) -> Result<(), RequestError> {
    for (at, input) in (0..).zip(&op.inputs) {
        if !input.optional && scope.input(at).is_missing() {
            return Err(RequestError::MissingInput(input.name.clone()));
        }
    }
    for (at, input) in (0..).zip(&op.inputs) {
        let Some(length) = input.length else { continue };
        if let Value::Text(text) = scope.input(at)
            && !length.allows(&text)
        {
            let (name, found) = (input.name.clone(), length.of(&text));
            return Err(RequestError::Length { name, found, unit: length.unit(), least: length.least, most: length.most });
        }
    }
    for refusal in &op.peculiar.refuse {
        if holds(&refusal.when, scope)? {
            return Err(RequestError::NotTaken(refusal.because.clone()));
        }
    }
    Ok(())
}

/// Nobody waits longer for an answer, whatever an operation says.
const LONGEST_TIMEOUT: Duration = Duration::from_mins(10);

/// Returns how long the answer of an operation may take. `scope` is that of its request.
pub fn timeout(op: &Operation, connection: &LiveConnection, scope: &dyn Scope, default: Duration) -> Duration {
    let Some(expr) = &op.peculiar.timeout else { return default };
    match eval(expr, &ConnectionScope { inner: scope, connection }) {
        Ok(Value::Duration(time)) => match u64::try_from(time.approximate_millis()) {
            Ok(millis) if millis > 0 => Duration::from_millis(millis).min(LONGEST_TIMEOUT),
            Ok(_) | Err(_) => default,
        },
        Ok(_) | Err(_) => default,
    }
}

/// Returns a request of a connector. `query` replaces fields of the same name, or stands behind the others.
///
/// # Errors
/// Where the request cannot be made as the connector describes it.
pub fn build_request(
    request: &Request,
    connection: &LiveConnection,
    scope: &dyn Scope,
    query: &[(String, Value)],
) -> Result<HttpRequest, RequestError> {
    let scope = ConnectionScope { inner: scope, connection };
    draft(request, connection, &scope, query).map(Draft::finish)
}

/// A request that goes another way than HTTP: no address, and the body is what is sent.
fn sent(request: &Request, connection: &LiveConnection, scope: &dyn Scope) -> Result<HttpRequest, RequestError> {
    let unknown = || RequestError::UnknownScheme(String::new());
    let channel = Channel::of(connection, scope)?.ok_or_else(unknown)?;
    let body = match body(request.body.as_ref(), scope)? {
        DraftBody::Json(json) => json.to_string(),
        DraftBody::None | DraftBody::Form(_) | DraftBody::Text(_) => String::new(),
    };
    Ok(HttpRequest {
        method: SEND.to_owned(),
        url: String::new(),
        headers: Vec::new(),
        body: body.into(),
        reach: Reach::Anywhere,
        guard: None,
        channel: Some(Arc::new(channel)),
    })
}

/// Returns the way to the service of a connection, with its settings and secrets; `None` where that is HTTP alone.
///
/// # Errors
/// Where a parameter cannot be made as the connector describes it.
pub(crate) fn channel(connection: &LiveConnection) -> Result<Option<Channel>, RequestError> {
    struct Nothing;
    impl Scope for Nothing {}
    Ok(Channel::of(connection, &ConnectionScope { inner: &Nothing, connection })?)
}

fn draft(
    request: &Request,
    connection: &LiveConnection,
    scope: &dyn Scope,
    query: &[(String, Value)],
) -> Result<Draft, RequestError> {
    for group in &connection.plan.api.one_of {
        if !group.iter().any(|secret| connection.secrets.contains_key(secret)) {
            return Err(RequestError::NoCredentials(connection.plan.name.clone()));
        }
    }
    let (address, reach, trusted, told) = match &request.address {
        Some(expr) => {
            let to = destination(expr, connection, scope)?;
            // What flow.toml names is no place for credentials by that alone, and is asked without them.
            if !to.trusted && !to.own && has_credentials(connection) && !connection.stand_in {
                return Err(RequestError::Elsewhere(connection.plan.name.clone()));
            }
            (to.address, to.reach, to.trusted, to.headers)
        }
        None => {
            let reach = if connection.base_url.is_some() { Reach::Anywhere } else { Reach::Internet };
            (address(request, connection, scope)?, reach, true, Vec::new())
        }
    };
    let mut headers = Vec::new();
    let api = connection.plan.api_of(request);
    more_headers(request, scope, &mut headers)?;
    let own = api.headers.iter().filter(|(_, expr)| trusted || !holds_secret(expr));
    for (name, expr) in own.chain(&request.headers) {
        let value = eval(expr, scope)?;
        if !value.is_missing() {
            let set = set_header(&mut headers, name, &form::scalar_text(name, &value)?);
            if is_own(expr) { set.map_err(|error| own_header(connection, error))? } else { set? }
        }
    }
    headers.extend(told);
    let method = match &request.chosen_method {
        Some(expr) => eval(expr, scope)?.as_text().unwrap_or_default().to_owned(),
        None => request.method.clone(),
    };
    let query = self::query(request, scope, query)?;
    let mut body = body(request.body.as_ref(), scope)?;
    for other in &request.other_bodies {
        if matches!(body, DraftBody::None) {
            body = self::body(Some(other), scope)?;
        }
    }
    let mut draft = Draft { method, address, query, headers, body, reach };
    if trusted {
        authorise(&mut draft, api, connection, scope).map_err(|error| own_header(connection, error))?;
    }
    Ok(draft)
}

/// Tells whether something secret would go along with a request.
fn has_credentials(connection: &LiveConnection) -> bool {
    let api = &connection.plan.api;
    let of_auth = api.auth.iter().flat_map(|auth| &auth.args);
    let of_headers = api.headers.iter().map(|(_, value)| value);
    of_auth.chain(of_headers).any(|expr| {
        let mut there = false;
        expr.walk(&mut |part| {
            there |= matches!(part, Expr::Env(Env::Secret(name)) if connection.secrets.contains_key(name));
        });
        there
    })
}

/// Headers that say who one is, or how the message is framed: none of them comes from a flow.
const NOT_GIVEN: &[&str] = &[
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Sets the headers that the run brings.
fn more_headers(request: &Request, scope: &dyn Scope, headers: &mut Vec<(String, String)>) -> Result<(), RequestError> {
    let Some(expr) = &request.more_headers else { return Ok(()) };
    let Value::Record(fields) = eval(expr, scope)? else { return Ok(()) };
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_missing()) {
        if NOT_GIVEN.iter().any(|known| name.eq_ignore_ascii_case(known)) {
            return Err(RequestError::OwnHeader(name.to_string()));
        }
        set_header(headers, name, &form::scalar_text(name, value).map_err(|error| error.of(expr))?)?;
    }
    Ok(())
}

/// What a connection adds to the scope at hand: its settings, and its secrets, which nothing else hands out.
struct ConnectionScope<'a> {
    inner: &'a dyn Scope,
    connection: &'a LiveConnection,
}

impl Scope for ConnectionScope<'_> {
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
            Env::Setting(name) => setting(self.connection, name),
            Env::Secret(name) => self.connection.secrets.get(name).map_or(Value::Missing, |secret| Value::text(secret.expose())),
            Env::SentAt => match self.inner.env(env) {
                Value::Missing => self.inner.env(&Env::Now),
                at => at,
            },
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

/// Made of what is configured for the connection, and of nothing that a run brings.
fn is_own(expr: &Expr) -> bool {
    let (mut configured, mut brought) = (false, false);
    expr.walk(&mut |part| match part {
        Expr::Env(Env::Setting(_) | Env::Secret(_)) => configured = true,
        Expr::Env(_) | Expr::Event(_) | Expr::Local(_) | Expr::Input(_) | Expr::Raw(_) | Expr::Answer(_) => brought = true,
        _ => {}
    });
    configured && !brought
}

/// A header of the connection's own is a matter of its configuration, not of the run.
fn own_header(connection: &LiveConnection, error: RequestError) -> RequestError {
    match error {
        RequestError::Header(header) => RequestError::ConnectionHeader { connection: connection.plan.name.clone(), header },
        other => other,
    }
}

/// Returns a setting of a connection.
pub(crate) fn setting(connection: &LiveConnection, name: &str) -> Value {
    connection.plan.settings.get(name).cloned().unwrap_or_default()
}

/// Settings for the base address. Where `base_url` gives the origin, a setting that only the origin needs may be missing.
struct BaseScope<'a> {
    connection: &'a LiveConnection,
    stand_in: bool,
}

impl Scope for BaseScope<'_> {
    fn env(&self, env: &Env) -> Value {
        let Env::Setting(name) = env else { return Value::Missing };
        match setting(self.connection, name) {
            Value::Missing if self.stand_in => Value::text("unset"),
            value => value,
        }
    }
}

/// Returns the base without a slash at its end. `base_url` without a path replaces the origin, with one the whole base; where
/// a service has several APIs, the path of each stands behind that of `base_url`, since nothing else would tell them apart.
fn base(connection: &LiveConnection, api: &Api) -> Result<String, RequestError> {
    let Some(given) = &connection.base_url else {
        let mut missing = false;
        api.base.walk(&mut |expr| {
            missing |= matches!(expr, Expr::Env(Env::Setting(name)) if setting(connection, name).is_missing());
        });
        if missing {
            let reason = "a setting that it needs is not configured";
            return Err(RequestError::Base { connection: connection.plan.name.clone(), reason });
        }
        let base = eval(&api.base, &BaseScope { connection, stand_in: false })?;
        return parts(connection, base.as_text().unwrap_or_default()).map(|(origin, path)| origin + &path);
    };
    let (origin, path) = parts(connection, given)?;
    if !path.is_empty() && connection.plan.apis.is_empty() {
        return Ok(origin + &path);
    }
    let own = eval(&api.base, &BaseScope { connection, stand_in: true })?;
    let own_path = match own.as_text() {
        Some(own) if !own.is_empty() => parts(connection, own)?.1,
        _ => String::new(),
    };
    Ok(origin + &path + &own_path)
}

/// Splits a base into origin and path, both without a slash at the end.
fn parts(connection: &LiveConnection, base: &str) -> Result<(String, String), RequestError> {
    let error = |reason| RequestError::Base { connection: connection.plan.name.clone(), reason };
    let url = Url::parse(base).map_err(|_| error("it is no address"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(error("it begins with neither http:// nor https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(error("it holds a user or a password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(error("it holds `?` or `#`"));
    }
    Ok((url.origin().ascii_serialization(), url.path().trim_end_matches('/').to_owned()))
}

/// A character that no address holds: it marks a value of the query part that is missing.
const LEFT_OUT: char = '\0';

/// Returns the address without the parameters that the connector lists.
fn address(request: &Request, connection: &LiveConnection, scope: &dyn Scope) -> Result<Address, RequestError> {
    let mut address = String::new();
    for part in &request.path {
        match part {
            PathPart::Literal(text) => address.push_str(text),
            PathPart::Value(value) => {
                let text = match eval(value, scope)? {
                    Value::Missing => String::new(),
                    value => form::scalar_text("address", &value)?,
                };
                if !text.is_empty() {
                    address.push_str(&form::encode_segment(&text));
                } else if address.contains('?') {
                    address.push(LEFT_OUT);
                } else {
                    return Err(RequestError::MissingPathValue);
                }
            }
        }
    }
    let (path, own_query) = address.split_once('?').unwrap_or((&address, ""));
    if path.split('/').any(is_dot_segment) {
        return Err(RequestError::DotSegment);
    }
    let mut url = base(connection, connection.plan.api_of(request))?;
    if !path.is_empty() && !path.starts_with('/') {
        url.push('/');
    }
    url.push_str(path);
    let query = own_query.split('&').filter(|pair| !pair.is_empty() && !pair.contains(LEFT_OUT)).map(str::to_owned).collect();
    Ok(Address { url, query })
}

/// Addresses know `.` and `..` in their encoded spellings too.
fn is_dot_segment(segment: &str) -> bool {
    matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
}

fn query(request: &Request, scope: &dyn Scope, extra: &[(String, Value)]) -> Result<form::Pairs, RequestError> {
    let mut pairs = Vec::new();
    let replaced = |name: &str| extra.iter().any(|(extra, _)| extra == name);
    for field in request.query.iter().filter(|field| !replaced(&field.name)) {
        form::push(&mut pairs, &field.name, &eval(&field.value, scope)?).map_err(|error| error.of(&field.value))?;
    }
    if let Some(expr) = &request.more_query {
        form::push_body(&mut pairs, &eval(expr, scope)?).map_err(|error| error.of(expr))?;
    }
    for (name, value) in extra {
        form::push(&mut pairs, name, value)?;
    }
    Ok(pairs)
}

fn body(body: Option<&Body>, scope: &dyn Scope) -> Result<DraftBody, RequestError> {
    let Some(body) = body else { return Ok(DraftBody::None) };
    let value = eval(&body.value, scope)?;
    if value.is_missing() {
        return Ok(DraftBody::None);
    }
    Ok(match body.encoding {
        Encoding::Json => {
            let mut json = form::json("", &value).map_err(|error| error.of(&body.value))?;
            if let (Some(nulls), serde_json::Value::Object(members)) = (&body.nulls, &mut json)
                && let Value::List(names) = eval(nulls, scope)?
            {
                let names = names.iter().filter_map(Value::as_text);
                members.extend(names.map(|name| (name.to_owned(), serde_json::Value::Null)));
            }
            DraftBody::Json(json)
        }
        Encoding::Form => {
            let mut pairs = Vec::new();
            form::push_body(&mut pairs, &value).map_err(|error| error.of(&body.value))?;
            DraftBody::Form(pairs)
        }
        Encoding::Text => DraftBody::Text(form::scalar_text("body", &value).map_err(|error| error.of(&body.value))?),
    })
}

fn authorise(draft: &mut Draft, api: &Api, connection: &LiveConnection, scope: &dyn Scope) -> Result<(), RequestError> {
    let Some(auth) = &api.auth else { return Ok(()) };
    let arg = |at: usize| -> Result<Option<String>, RequestError> {
        let Some(arg) = auth.args.get(at) else { return Ok(None) };
        Ok(eval(arg, scope)?.as_text().filter(|text| !text.is_empty()).map(str::to_owned))
    };
    let required = |at: usize| arg(at)?.ok_or_else(|| RequestError::NoCredentials(connection.plan.name.clone()));
    // What can do without a secret that is not there goes without.
    let optional = |name: &str| connection.plan.secrets.iter().any(|secret| secret.name == name && secret.optional);
    let without = auth
        .args
        .iter()
        .any(|arg| matches!(arg, Expr::Env(Env::Secret(name)) if optional(name) && !connection.secrets.contains_key(name)));
    if without {
        return Ok(());
    }
    let chosen;
    let (scheme, at): (&str, [usize; 2]) = match auth.scheme.as_str() {
        "chosen" => {
            chosen = required(0)?;
            match chosen.as_str() {
                "bearer" => ("bearer", [1, 1]),
                "basic" => ("basic", [3, 1]),
                other => (other, [2, 1]),
            }
        }
        scheme => (scheme, [0, 1]),
    };
    let headers = &mut draft.headers;
    match scheme {
        "bearer" => set_header(headers, "authorization", &format!("Bearer {}", required(at[0])?)),
        "basic" => {
            let (user, password) = (required(at[0])?, arg(at[1])?.unwrap_or_default());
            // A connector that names a password needs it.
            if auth.args.len() > 1 && password.is_empty() {
                return Err(RequestError::NoCredentials(connection.plan.name.clone()));
            }
            let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("{user}:{password}"));
            set_header(headers, "authorization", &format!("Basic {encoded}"))
        }
        "header" => {
            let name = required(at[0])?;
            set_header(headers, &name, &required(at[1])?)
        }
        "query" => {
            let (name, value) = (required(at[0])?, required(at[1])?);
            draft.query.retain(|(known, _)| *known != name);
            draft.query.push((name, value));
            Ok(())
        }
        "md5_sorted" => {
            let (key, name) = (required(0)?, required(1)?);
            let mut added = Vec::new();
            if let Some(fields) = auth.args.get(2) {
                let Value::Record(fields) = eval(fields, scope)? else { return Ok(()) };
                // A field that is missing would be signed as if it had never been asked for.
                if let Some(Expr::Record(wanted)) = auth.args.get(2)
                    && wanted.len() != fields.len()
                {
                    return Err(RequestError::NoCredentials(connection.plan.name.clone()));
                }
                form::push_body(&mut added, &Value::Record(fields))?;
            }
            draft.parameters().extend(added);
            let signature = flow_functions::md5_sorted(&key, &draft.all_parameters());
            draft.parameters().push((name, signature));
            Ok(())
        }
        other => Err(RequestError::UnknownScheme(other.to_owned())),
    }
}

/// Sets a header, once whatever its case.
fn set_header(headers: &mut Vec<(String, String)>, name: &str, value: &str) -> Result<(), RequestError> {
    if name.is_empty() || !name.bytes().all(is_token) || value.chars().any(|c| c.is_control() && c != '\t') {
        return Err(RequestError::Header(name.chars().filter(|c| !c.is_control()).collect()));
    }
    headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    headers.push((name.to_owned(), value.to_owned()));
    Ok(())
}

/// RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Returns the secret that an expression names, without copying it.
pub(crate) fn secret_of<'a>(expr: &Expr, connection: &'a LiveConnection) -> Option<&'a crate::secret::Secret> {
    match expr {
        Expr::Env(Env::Secret(name)) => connection.secrets.get(name),
        _ => None,
    }
}
