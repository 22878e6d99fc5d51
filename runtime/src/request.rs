//! Operations and polls to HTTP requests.
//!
//! Nothing here is stored or logged: a request holds secrets and is made anew at each attempt.

use flow_plan::{Body, Effect, Encoding, Env, Expr, JsonPath, Operation, PathPart, Request, Value};
use url::Url;

use crate::eval::{Required, Scope, eval};
use crate::form::{self, WireError};
use crate::live::LiveConnection;
use crate::world::{HttpRequest, Reach};

mod draft;

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
    let mut draft = draft(&op.request, connection, &scope, &[])?;
    if let Effect::Keyed { header, .. } = &op.effect {
        let key = scope.env(&Env::RunKey);
        let key = key.as_text().filter(|key| !key.is_empty()).ok_or(RequestError::NoKey)?;
        set_header(&mut draft.headers, header, key)?;
    }
    for signature in &op.sign {
        draft.sign(signature, connection, &scope)?;
    }
    Ok(draft.finish())
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

fn draft(
    request: &Request,
    connection: &LiveConnection,
    scope: &dyn Scope,
    query: &[(String, Value)],
) -> Result<Draft, RequestError> {
    let mut headers = Vec::new();
    for (name, expr) in connection.plan.api.headers.iter().chain(&request.headers) {
        let value = eval(expr, scope)?;
        if !value.is_missing() {
            let set = set_header(&mut headers, name, &form::scalar_text(name, &value)?);
            if is_own(expr) { set.map_err(|error| own_header(connection, error))? } else { set? }
        }
    }
    let address = address(request, connection, scope)?;
    let query = self::query(request, scope, query)?;
    let body = body(request.body.as_ref(), scope)?;
    let reach = if connection.base_url.is_some() { Reach::Anywhere } else { Reach::Internet };
    let mut draft = Draft { method: request.method.clone(), address, query, headers, body, reach };
    authorise(&mut draft, connection, scope).map_err(|error| own_header(connection, error))?;
    Ok(draft)
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

/// Returns the base without a slash at its end. `base_url` without a path replaces the origin, with one the whole base.
fn base(connection: &LiveConnection) -> Result<String, RequestError> {
    let Some(given) = &connection.base_url else {
        let mut missing = false;
        connection.plan.api.base.walk(&mut |expr| {
            missing |= matches!(expr, Expr::Env(Env::Setting(name)) if setting(connection, name).is_missing());
        });
        if missing {
            let reason = "a setting that it needs is not configured";
            return Err(RequestError::Base { connection: connection.plan.name.clone(), reason });
        }
        let base = eval(&connection.plan.api.base, &BaseScope { connection, stand_in: false })?;
        return parts(connection, base.as_text().unwrap_or_default()).map(|(origin, path)| origin + &path);
    };
    let (origin, path) = parts(connection, given)?;
    if !path.is_empty() {
        return Ok(origin + &path);
    }
    let own = eval(&connection.plan.api.base, &BaseScope { connection, stand_in: true })?;
    let own_path = match own.as_text() {
        Some(own) if !own.is_empty() => parts(connection, own)?.1,
        _ => String::new(),
    };
    Ok(origin + &own_path)
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
    let mut url = base(connection)?;
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
        form::push(&mut pairs, &field.name, &eval(&field.value, scope)?)?;
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
        Encoding::Json => DraftBody::Json(form::json("", &value)?),
        Encoding::Form => {
            let mut pairs = Vec::new();
            form::push_body(&mut pairs, &value)?;
            DraftBody::Form(pairs)
        }
        Encoding::Text => DraftBody::Text(form::scalar_text("body", &value)?),
    })
}

fn authorise(draft: &mut Draft, connection: &LiveConnection, scope: &dyn Scope) -> Result<(), RequestError> {
    let Some(auth) = &connection.plan.api.auth else { return Ok(()) };
    let arg = |at: usize| -> Result<Option<String>, RequestError> {
        let Some(arg) = auth.args.get(at) else { return Ok(None) };
        Ok(eval(arg, scope)?.as_text().filter(|text| !text.is_empty()).map(str::to_owned))
    };
    let required = |at: usize| arg(at)?.ok_or_else(|| RequestError::NoCredentials(connection.plan.name.clone()));
    let headers = &mut draft.headers;
    match auth.scheme.as_str() {
        "bearer" => set_header(headers, "authorization", &format!("Bearer {}", required(0)?)),
        "basic" => {
            let (user, password) = (required(0)?, arg(1)?.unwrap_or_default());
            // A connector that names a password needs it.
            if auth.args.len() > 1 && password.is_empty() {
                return Err(RequestError::NoCredentials(connection.plan.name.clone()));
            }
            let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("{user}:{password}"));
            set_header(headers, "authorization", &format!("Basic {encoded}"))
        }
        "header" => {
            let name = required(0)?;
            set_header(headers, &name, &required(1)?)
        }
        "query" => {
            let (name, value) = (required(0)?, required(1)?);
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
