//! The head of a request: the request line and the headers.
//!
//! It is read strictly. Whatever could be understood in two ways is refused, and the connection with it: a proxy before
//! flowd may have understood it in the other way, and what follows would be somebody else's request (RFC 9112, 11.2).

use bytes::{Buf, Bytes, BytesMut};
use hyper::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Request, StatusCode, Uri, Version};

use super::respond::HttpError;

/// The most headers of a request.
const MOST_HEADERS: usize = 100;

/// A request without its body.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) parts: Parts,
    pub(crate) framing: Framing,
    /// The sender may send another request over the same connection.
    pub(crate) keep_alive: bool,
    /// The sender waits for `100 Continue` before it sends the body.
    pub(crate) expects: bool,
}

/// How it is known where the body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
}

/// Looks for the end of a head in what has come so far, without looking at anything twice.
#[derive(Debug, Default)]
pub(crate) struct Search {
    looked_at: usize,
    lines: usize,
    /// Something was there, so that nonsense is refused before it has come to an end.
    tried: bool,
}

impl Search {
    /// Takes a head out of the buffer, or returns `None` where its end has not come yet.
    ///
    /// # Errors
    /// What is no head, or a larger one than `most` bytes. The connection cannot go on then.
    pub(crate) fn take(&mut self, buffer: &mut BytesMut, most: usize) -> Result<Option<Head>, HttpError> {
        // Empty lines before a request are left aside (RFC 9112, 2.2).
        while self.lines == 0 && buffer.starts_with(b"\r\n") {
            buffer.advance(2);
            *self = Self::default();
        }
        let lines = self.lines;
        match self.end(buffer)? {
            Some(end) if end > most => Err(self.too_large()),
            Some(end) => {
                *self = Self::default();
                read(&buffer.split_to(end).freeze()).map(Some)
            }
            None if buffer.len() >= most => Err(self.too_large()),
            None => {
                if !buffer.is_empty() && (!self.tried || self.lines > lines) {
                    self.tried = true;
                    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
                    let parsed = httparse::Request::new(&mut headers).parse(buffer);
                    parsed.map_err(|error| misread(error, buffer))?;
                }
                Ok(None)
            }
        }
    }

    fn end(&mut self, buffer: &[u8]) -> Result<Option<usize>, HttpError> {
        while let Some(at) = buffer.iter().skip(self.looked_at).position(|byte| *byte == b'\n') {
            let next = self.looked_at + at + 1;
            let read = buffer.get(..next).unwrap_or_default();
            if !read.ends_with(b"\r\n") {
                return Err(malformed("a line does not end with CR and LF"));
            }
            self.looked_at = next;
            self.lines += 1;
            if read.ends_with(b"\r\n\r\n") {
                return Ok(Some(next));
            }
        }
        self.looked_at = buffer.len();
        Ok(None)
    }

    fn too_large(&self) -> HttpError {
        if self.lines == 0 {
            return HttpError::new(StatusCode::URI_TOO_LONG, "uri_too_long", "the address is too long");
        }
        too_large("the headers are too large")
    }
}

fn too_large(message: &'static str) -> HttpError {
    HttpError::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "header_too_large", message)
}

fn malformed(message: &'static str) -> HttpError {
    HttpError::bad_request("malformed", message)
}

/// Says what is wrong with a head that could not be parsed.
fn misread(error: httparse::Error, bytes: &[u8]) -> HttpError {
    match error {
        httparse::Error::TooManyHeaders => too_large("there are too many headers"),
        httparse::Error::HeaderName => malformed("the name of a header is malformed"),
        httparse::Error::HeaderValue => malformed("the value of a header is malformed"),
        httparse::Error::Version => {
            let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let mut words = line.split(|byte| *byte == b' ').skip(2);
            if words.next().is_some_and(|version| version.starts_with(b"HTTP/")) && words.next().is_none() {
                let message = "flowd speaks HTTP/1.0 and HTTP/1.1";
                return HttpError::new(StatusCode::HTTP_VERSION_NOT_SUPPORTED, "http_version", message);
            }
            malformed("the request line is malformed")
        }
        httparse::Error::NewLine | httparse::Error::Status | httparse::Error::Token => malformed("the request line is malformed"),
    }
}

/// Reads a whole head.
fn read(bytes: &Bytes) -> Result<Head, HttpError> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(bytes).map_err(|error| misread(error, bytes))? {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial => 0,
    };
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version) else {
        return Err(malformed("the request line is malformed"));
    };
    if length != bytes.len() {
        return Err(malformed("the head is malformed"));
    }
    let mut map = HeaderMap::with_capacity(request.headers.len());
    for header in request.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes());
        let name = name.map_err(|_| malformed("the name of a header is malformed"))?;
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(header.value));
        let value = value.map_err(|_| malformed("the value of a header is malformed"))?;
        map.append(name, value);
    }
    let current = minor == 1;
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| malformed("the method is malformed"))?;
    let host = host(&map, current)?;
    let uri = address(&method, target, host)?;
    let framing = framing(&map, current)?;
    let (close, keep_alive) = connection(&map);
    let keep_alive = !close && (current || keep_alive);
    let expects = expects(&map, current)? && framing != Framing::Length(0);
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = method;
    parts.uri = uri;
    parts.version = if current { Version::HTTP_11 } else { Version::HTTP_10 };
    parts.headers = map;
    Ok(Head { parts, framing, keep_alive, expects })
}

/// Returns the one `Host`, which HTTP/1.0 may leave out (RFC 9112, 3.2).
fn host(headers: &HeaderMap, current: bool) -> Result<Option<&str>, HttpError> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (None, _) if current => return Err(HttpError::bad_request("host", "the request has no Host")),
        (None, _) => return Ok(None),
        (Some(host), None) => host.to_str().unwrap_or_default(),
        (Some(_), Some(_)) => return Err(HttpError::bad_request("host", "the request has more than one Host")),
    };
    if is_host(host) { Ok(Some(host)) } else { Err(HttpError::bad_request("host", "the Host is malformed")) }
}

/// Tells whether a text is the name or the address of a host, perhaps with a port.
fn is_host(text: &str) -> bool {
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let Some((address, port)) = rest.split_once(']') else { return false };
            if address.parse::<std::net::Ipv6Addr>().is_err() || !(port.is_empty() || port.starts_with(':')) {
                return false;
            }
            ("address", port.strip_prefix(':'))
        }
        None => text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port))),
    };
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte);
    let port = port.is_none_or(|port| port.is_empty() || (port.parse::<u16>().is_ok() && !port.starts_with('+')));
    !name.is_empty() && name.len() <= 255 && name.bytes().all(letter) && port
}

/// Returns the path and the query. A whole address is taken where it names the host that `Host` names.
fn address(method: &Method, target: &str, host: Option<&str>) -> Result<Uri, HttpError> {
    let no_address = || malformed("the address is malformed");
    if method == Method::CONNECT {
        let message = "flowd is no proxy";
        let error = HttpError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message);
        return Err(HttpError { allow: Some("GET, HEAD, POST"), ..error });
    }
    if !target.is_ascii() || target.contains('#') {
        return Err(no_address());
    }
    if target.starts_with('/') || (target == "*" && method == Method::OPTIONS) {
        return Uri::try_from(target).map_err(|_| no_address());
    }
    let uri = Uri::try_from(target).map_err(|_| no_address())?;
    let (Some("http" | "https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(no_address()) };
    if !is_host(authority.as_str()) {
        return Err(no_address());
    }
    if host.is_some_and(|host| !host.eq_ignore_ascii_case(authority.as_str())) {
        return Err(HttpError::bad_request("host", "the address and the Host name different hosts"));
    }
    Ok(Uri::from(uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"))))
}

/// Says where the body ends, where that can be understood in one way only.
fn framing(headers: &HeaderMap, current: bool) -> Result<Framing, HttpError> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    match (codings.next(), lengths.next()) {
        (None, None) => Ok(Framing::Length(0)),
        (Some(_), Some(_)) => Err(malformed("a request has either Content-Length or Transfer-Encoding")),
        (Some(_), None) if !current => Err(malformed("HTTP/1.0 has no Transfer-Encoding")),
        (Some(coding), None) => {
            if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
                return Err(malformed("the only Transfer-Encoding that is taken is chunked"));
            }
            Ok(Framing::Chunked)
        }
        (None, Some(length)) => {
            if lengths.next().is_some() {
                return Err(malformed("there is more than one Content-Length"));
            }
            let digits = length.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            let length = digits.and_then(|digits| digits.parse().ok());
            length.map(Framing::Length).ok_or_else(|| malformed("the Content-Length is no length"))
        }
    }
}

/// Tells whether `Connection` says `close`, and whether it says `keep-alive`.
fn connection(headers: &HeaderMap) -> (bool, bool) {
    let options = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let mut found = (false, false);
    for option in options.flat_map(|value| value.split(',')).map(str::trim) {
        found.0 |= option.eq_ignore_ascii_case("close");
        found.1 |= option.eq_ignore_ascii_case("keep-alive");
    }
    found
}

fn expects(headers: &HeaderMap, current: bool) -> Result<bool, HttpError> {
    let mut expected = headers.get_all(EXPECT).iter().peekable();
    // HTTP/1.0 does not know it, and it is left aside there (RFC 9110, 10.1.1).
    if !current || expected.peek().is_none() {
        return Ok(false);
    }
    if expected.all(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        return Ok(true);
    }
    let message = "the only expectation that is met is 100-continue";
    Err(HttpError::new(StatusCode::EXPECTATION_FAILED, "expectation", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(text: &[u8]) -> Result<Option<Head>, HttpError> {
        Search::default().take(&mut BytesMut::from(text), 16 * 1024)
    }

    /// Byte by byte or at once, the same is found, and nothing of what follows is taken.
    #[test]
    fn a_head_is_found_however_it_comes() {
        let text = b"\r\n\r\nPOST /a?b HTTP/1.1\r\nHost: x:80\r\nTransfer-Encoding:  Chunked \r\n\r\n3\r\n";
        let (mut search, mut buffer) = (Search::default(), BytesMut::new());
        let mut found = None;
        for byte in text {
            buffer.extend_from_slice(&[*byte]);
            if found.is_none() {
                found = search.take(&mut buffer, 16 * 1024).unwrap();
            }
        }
        let head = found.unwrap();
        assert_eq!((head.parts.uri.path(), head.parts.uri.query(), head.framing), ("/a", Some("b"), Framing::Chunked));
        assert!(head.keep_alive && !head.expects);
        assert_eq!(&buffer[..], b"3\r\n");
    }

    #[test]
    fn hosts() {
        for good in ["x", "x:80", "x:", "a.example.org", "127.0.0.1:7400", "[::1]", "[::1]:7400", "xn--a_b", "%41"] {
            assert!(is_host(good), "{good}");
        }
        for bad in
            ["", ":80", "x:80:80", "x:66000", "x:+1", "x:a", "a b", "a/b", "a@b", "[::1", "[x]", "[::1]x", "::1", "a\\b", "<x>"]
        {
            assert!(!is_host(bad), "{bad}");
        }
    }

    #[test]
    fn whole_addresses_name_the_host_of_the_request() {
        let uri = |target, host| address(&Method::POST, target, host).map(|uri| uri.to_string()).map_err(|error| error.code);
        assert_eq!(uri("http://X:80/a?b", Some("x:80")).as_deref(), Ok("/a?b"));
        assert_eq!(uri("http://x", Some("x")).as_deref(), Ok("/"));
        assert_eq!(uri("http://x/a", None).as_deref(), Ok("/a"));
        assert_eq!(uri("//x/a", Some("y")).as_deref(), Ok("//x/a"));
        assert_eq!(uri("http://evil/a", Some("x")), Err("host"));
        for bad in ["a", "*", "http:/x", "ftp://x/a", "http://:0/", "http://u@x/", "x:443", "/a#b", "/\u{e9}"] {
            assert_eq!(uri(bad, Some("x")), Err("malformed"), "{bad}");
        }
    }

    #[test]
    fn a_connection_is_kept_as_both_sides_say() {
        let kept = |version: &str, header: &str| {
            let text = format!("GET / HTTP/{version}\r\nHost: x\r\n{header}\r\n");
            take(text.as_bytes()).unwrap().unwrap().keep_alive
        };
        assert!(kept("1.1", "") && kept("1.1", "Connection: upgrade\r\n") && kept("1.0", "Connection: Keep-Alive\r\n"));
        assert!(!kept("1.0", "") && !kept("1.1", "Connection: x, CLOSE\r\nConnection: keep-alive\r\n"));
    }
}
