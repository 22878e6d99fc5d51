//! Where a request goes that has no path of the connector's own: a whole address, out of an input, a setting or a secret.
//!
//! What only settings and secrets make is named by flow.toml. What a run brings may be anybody's choice: it goes into the
//! internet alone, and no credentials go along unless it lies where flow.toml says that the connection's service is.

use flow_plan::{Env, Expr, Request, Value};
use url::Url;

use super::draft::Address;
use super::{ConnectionScope, RequestError, base};
use crate::eval::{Nothing, Scope, eval};
use crate::live::LiveConnection;
use crate::world::Reach;

/// Where the address came from that is not sent there: what stands in for every service shows it.
const INSTEAD_OF: &str = "sandbox-instead-of";

/// Where a request goes, and what may go along.
pub(super) struct Destination {
    pub(super) address: Address,
    pub(super) reach: Reach,
    /// The credentials of the connection may go along.
    pub(super) trusted: bool,
    /// Nothing but flow.toml and the connector had a say.
    pub(super) own: bool,
    /// Headers that only tell what was asked for.
    pub(super) headers: Vec<(String, String)>,
}

/// Returns where the request of an address goes.
pub(super) fn destination(expr: &Expr, connection: &LiveConnection, scope: &dyn Scope) -> Result<Destination, RequestError> {
    let given = eval(expr, scope)?;
    let text = given.as_text().map(str::trim).filter(|text| !text.is_empty()).ok_or(RequestError::MissingPathValue)?;
    let own = configured(expr, connection).is_some_and(|known| known == text);
    let error = |reason| if own { own_address(connection, reason) } else { RequestError::Address(reason) };
    // A path goes to where flow.toml says that the service is.
    let whole;
    let is_path = text.starts_with('/') && !text.starts_with("//") && connection.base_url.is_some();
    let text = if is_path {
        if is_odd(text) {
            return Err(error("it holds `.` or `..` as a part, a backslash or a control character"));
        }
        whole = base(connection, &connection.plan.api)? + text;
        whole.as_str()
    } else {
        text
    };
    let mut url = Url::parse(text).map_err(|_| error("it is no whole address"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(error("it begins with neither http:// nor https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(error("it holds a user or a password"));
    }
    url.set_fragment(None);
    let mut headers = Vec::new();
    if let Some(stand_in) = connection.base_url.as_deref().filter(|_| own || connection.stand_in) {
        if connection.stand_in && !same_origin(&url, stand_in) {
            headers.push((INSTEAD_OF.to_owned(), url.origin().ascii_serialization()));
        }
        url = at(stand_in, &url).ok_or_else(|| error("`base_url` is no address"))?;
    }
    let service = base(connection, &connection.plan.api).ok();
    let at_service = service.as_deref().is_some_and(|service| same_origin(&url, service));
    // What a run brings may be anywhere at that server, and is meant for what is below the path of the service.
    let within = own || connection.stand_in || service.as_deref().is_some_and(|service| lies_within(&url, service));
    if is_path && !within {
        return Err(RequestError::Elsewhere(connection.plan.name.clone()));
    }
    let trusted = at_service && within;
    let named = connection.stand_in || named(connection, own).iter().any(|named| same_origin(&url, named));
    let reach = if named { Reach::Anywhere } else { Reach::Internet };
    Ok(Destination { address: split(&url), reach, trusted, own, headers })
}

/// Returns the server that a request goes to where the run has named it: scheme, host and port. `None` where it goes to the
/// connection's own service, or to where flow.toml says, or nowhere.
pub(crate) fn origin_brought(request: &Request, connection: &LiveConnection, scope: &dyn Scope) -> Option<String> {
    let expr = request.address.as_ref()?;
    let given = eval(expr, &ConnectionScope { inner: scope, connection }).ok()?;
    let text = given.as_text().map(str::trim).filter(|text| !text.is_empty())?;
    if configured(expr, connection).is_some_and(|known| known == text) {
        return None;
    }
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())?;
    let is_service = base(connection, connection.plan.api_of(request)).is_ok_and(|service| same_origin(&url, &service));
    (!is_service).then(|| url.origin().ascii_serialization())
}

/// What the address is where the run brings nothing: one that it does not change is not its choice.
fn configured(expr: &Expr, connection: &LiveConnection) -> Option<String> {
    let known = eval(expr, &ConnectionScope { inner: &Nothing, connection }).ok()?;
    known.as_text().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn own_address(connection: &LiveConnection, reason: &'static str) -> RequestError {
    RequestError::Base { connection: connection.plan.name.clone(), reason }
}

/// The address with another origin, and the path of that origin before its own.
fn at(base: &str, url: &Url) -> Option<Url> {
    let mut text = base.trim_end_matches('/').to_owned();
    text.push_str(url.path());
    if let Some(query) = url.query() {
        text.push('?');
        text.push_str(query);
    }
    Url::parse(&text).ok()
}

/// Tells whether an address lies below another, however a server reads it.
fn lies_within(url: &Url, service: &str) -> bool {
    let Ok(service) = Url::parse(service) else { return false };
    let below = url.path().strip_prefix(service.path().trim_end_matches('/'));
    service.origin() == url.origin()
        && below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
        && !climbs(url.path())
}

/// Tells whether a path behind a base is one that could be read in two ways.
fn is_odd(text: &str) -> bool {
    let path = text.split(['?', '#']).next().unwrap_or(text);
    text.contains(char::is_control) || path.contains('\\') || climbs(path)
}

/// Tells whether a path has a part that leads upwards, also in spellings that only some servers know: encoded, encoded twice, with
/// an encoded slash, with parameters of its own.
fn climbs(path: &str) -> bool {
    let mut text = path.to_owned();
    for _ in 0..3 {
        if text.split(['/', '\\']).any(|part| matches!(part.split(';').next(), Some("." | ".."))) {
            return true;
        }
        text = percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned();
    }
    false
}

fn same_origin(url: &Url, other: &str) -> bool {
    Url::parse(other).is_ok_and(|other| other.origin() == url.origin())
}

/// The addresses that flow.toml names for a connection; a secret one counts where nothing but settings and secrets has a say.
fn named(connection: &LiveConnection, own: bool) -> Vec<String> {
    let settings = connection.plan.settings.values().filter_map(Value::as_text);
    let secrets = connection.secrets.values().filter(|_| own).map(crate::secret::Secret::expose);
    connection.base_url.as_deref().into_iter().chain(settings).chain(secrets).map(str::to_owned).collect()
}

/// The address without its parameters, and those.
fn split(url: &Url) -> Address {
    let query = url.query().unwrap_or_default();
    let query = query.split('&').filter(|pair| !pair.is_empty()).map(str::to_owned).collect();
    let mut bare = url.clone();
    bare.set_query(None);
    Address { url: bare.to_string(), query }
}

/// Tells whether an expression holds a secret.
pub(super) fn holds_secret(expr: &Expr) -> bool {
    let mut found = false;
    expr.walk(&mut |part| found |= matches!(part, Expr::Env(Env::Secret(_))));
    found
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::{is_odd, lies_within};

    #[test]
    fn what_leads_out_of_a_path_is_known_in_any_spelling() {
        for path in [
            "/../x",
            "/a/..",
            "/a/./b",
            "/%2e%2e/x",
            "/.%2E/x",
            "/%252e%252e/x",
            "/..%2fx",
            "/a%2f..%2fb",
            "/..;/x",
            "/..%5cx",
            "/a\\..\\b",
            "/\t../x",
            "/a\nb",
        ] {
            assert!(is_odd(path), "{path:?}");
        }
        for path in ["/a", "/a..b", "/...", "/a/b?x=../y", "/group%2Fproject", "/50%25", "/a.b/.c", "/", "/é"] {
            assert!(!is_odd(path), "{path:?}");
        }
    }

    #[test]
    fn an_address_lies_below_a_service_at_the_border_of_a_part() {
        let within = |url: &str| lies_within(&Url::parse(url).expect("an address"), "https://h.example/api/v1");
        for url in [
            "https://h.example/api/v1",
            "https://h.example/api/v1/x",
            "https://h.example/api/v1?x=1",
            "https://H.example:443/api/v1/",
        ] {
            assert!(within(url), "{url}");
        }
        for url in [
            "https://h.example/api/v10",
            "https://h.example/api",
            "https://h.example/api/v1/../x",
            "https://h.example/api/v1/..%2fx",
            "http://h.example/api/v1",
            "https://h.example:8443/api/v1",
            "https://other.example/api/v1",
        ] {
            assert!(!within(url), "{url}");
        }
    }
}
