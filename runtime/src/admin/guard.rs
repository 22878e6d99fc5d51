//! Who may speak to the admin API.
//!
//! Three attackers are meant: somebody on the network without the token, a web page that makes a browser send requests
//! to loopback, and one that points a name of its own at loopback (DNS rebinding). The unix socket needs none of this:
//! its mode lets in the daemon's user alone.

use std::net::IpAddr;

use hyper::header::{AUTHORIZATION, HOST, HeaderName, ORIGIN};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, StatusCode};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::secret::Secret;
use crate::server::respond::HttpError;

/// The header that state changes need. No form can send it, and no page of another origin without asking first.
pub const ADMIN_HEADER: &str = "x-flow-admin";

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Checks requests before anything else looks at them.
#[derive(Debug)]
pub(super) enum Guard {
    /// The unix socket.
    Socket,
    /// TCP on loopback without a token.
    Loopback,
    /// TCP with a token.
    Token(Secret),
}

impl Guard {
    /// Lets a request pass or says why not.
    pub(super) fn check(&self, head: &Parts) -> Result<(), HttpError> {
        let token = match self {
            Guard::Socket => return Ok(()),
            Guard::Loopback => None,
            Guard::Token(token) => Some(token),
        };
        let host = single(&head.headers, &HOST).ok_or_else(|| forbidden("host", "the request has no single Host"))?;
        if token.is_none() && !is_loopback(host) {
            return Err(forbidden("host", "without a token the admin API answers to loopback names only"));
        }
        if head.headers.contains_key(ORIGIN) {
            let origin = single(&head.headers, &ORIGIN).unwrap_or_default();
            let same = origin.split_once("://").is_some_and(|(_, origin)| origin.eq_ignore_ascii_case(host));
            if !same {
                return Err(forbidden("origin", "requests from pages of another origin are not answered"));
            }
        }
        if let Some(site) = head.headers.get(FETCH_SITE)
            && !matches!(site.as_bytes(), b"same-origin" | b"none")
        {
            return Err(forbidden("origin", "requests from pages of another origin are not answered"));
        }
        if let Some(token) = token {
            check_token(&head.headers, token)?;
        }
        let changes = !matches!(head.method, Method::GET | Method::HEAD);
        // A token that had to be put into a header is such a header.
        if changes && token.is_none() && !head.headers.contains_key(ADMIN_HEADER) {
            return Err(forbidden("admin_header", "changes need the header `X-Flow-Admin: 1`"));
        }
        Ok(())
    }
}

fn check_token(headers: &HeaderMap, token: &Secret) -> Result<(), HttpError> {
    let unauthorised = |message| HttpError::new(StatusCode::UNAUTHORIZED, "token", message);
    let given = single(headers, &AUTHORIZATION).ok_or_else(|| unauthorised("a bearer token is needed"))?;
    let given = match given.split_once(' ') {
        Some((scheme, given)) if scheme.eq_ignore_ascii_case("bearer") => given.trim(),
        _ => return Err(unauthorised("a bearer token is needed")),
    };
    // Hashes have one length, so that not even the token's own length shows in the time.
    let equal = Sha256::digest(given.as_bytes()).ct_eq(&Sha256::digest(token.expose().as_bytes()));
    if bool::from(equal) && !given.is_empty() { Ok(()) } else { Err(unauthorised("the token is wrong")) }
}

fn forbidden(code: &'static str, message: &'static str) -> HttpError {
    HttpError::new(StatusCode::FORBIDDEN, code, message)
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// Tells whether a host, with or without a port, is a name that leads to loopback whatever a name server says.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if port.is_empty() || port.starts_with(':') => address,
            _ => return false,
        },
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
