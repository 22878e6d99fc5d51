use std::time::Duration;

use flow_runtime::transport::ReqwestTransport;
use flow_runtime::world::{HttpRequest, Transport, TransportError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Answers each connection with these bytes and closes it. Returns the address and what was received.
async fn raw_server(answer: &'static [u8]) -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = vec![0; 65536];
            let read = stream.read(&mut buffer).await.unwrap();
            let _ = sender.send(String::from_utf8_lossy(&buffer[..read]).into_owned());
            stream.write_all(answer).await.unwrap();
        }
    });
    (address, receiver)
}

fn get(url: &str) -> HttpRequest {
    let headers = vec![("authorization".to_owned(), "Bearer hunter2-secret".to_owned())];
    HttpRequest { method: "GET".to_owned(), url: url.to_owned(), headers, body: Default::default() }
}

const SECOND: Duration = Duration::from_secs(5);

#[tokio::test]
async fn whole_answers_come_back() {
    let (address, mut seen) = raw_server(b"HTTP/1.1 201 Created\r\nX-Thing: a\r\nContent-Length: 2\r\n\r\nok").await;
    let mut request = get(&format!("{address}/a?b=%2F&c[0]=d"));
    request.method = "POST".to_owned();
    request.body = "x=1".into();
    let answer = ReqwestTransport::new().send(request, SECOND, 100).await.unwrap();
    assert_eq!((answer.status, answer.header("x-thing"), &answer.body[..]), (201, Some("a"), &b"ok"[..]));
    let request = seen.recv().await.unwrap();
    assert!(request.starts_with("POST /a?b=%2F&c[0]=d HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("user-agent: flowd/") && request.ends_with("x=1"), "{request}");
    assert!(!request.to_lowercase().contains("accept-encoding"), "{request}");
}

#[tokio::test]
async fn redirects_are_answers_and_not_followed() {
    let (address, _) = raw_server(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/steal\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(ReqwestTransport::new().send(get(&address), SECOND, 100).await.unwrap().status, 302);
}

#[tokio::test]
async fn what_was_not_sent_is_told_from_what_may_have_been() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let transport = ReqwestTransport::new();
    let nobody = transport.send(get(&format!("http://{free}/x?key=hunter2")), SECOND, 100).await.unwrap_err();
    assert!(matches!(nobody, TransportError::NotConnected(_)), "{nobody:?}");
    for cut in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"SMTP ready\r\n\r\n",
    ] {
        let (address, _) = raw_server(cut).await;
        let error = transport.send(get(&format!("{address}/x?key=hunter2")), SECOND, 100).await.unwrap_err();
        assert!(matches!(error, TransportError::NoAnswer(_)), "{error:?}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn bounds_of_size_and_time() {
    let transport = ReqwestTransport::new();
    let (large, _) = raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world").await;
    assert!(matches!(transport.send(get(&large), SECOND, 10).await, Err(TransportError::NoAnswer(_))));
    assert!(transport.send(get(&large), SECOND, 11).await.is_ok());
    let (chunked, _) =
        raw_server(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n").await;
    assert!(matches!(transport.send(get(&chunked), SECOND, 10).await, Err(TransportError::NoAnswer(_))));
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let error = transport.send(get(&address), Duration::from_millis(50), 10).await.unwrap_err();
    assert_eq!(error, TransportError::NoAnswer("it took too long".to_owned()));
}

#[tokio::test]
async fn nonsense_is_not_sent() {
    let transport = ReqwestTransport::new();
    let mut broken = get("http://127.0.0.1:1/");
    broken.headers.push(("x".to_owned(), "a\r\nb".to_owned()));
    assert!(matches!(transport.send(broken, SECOND, 10).await, Err(TransportError::Refused(_))));
    for url in ["", "nonsense", "ftp://127.0.0.1/", "http://"] {
        let error = transport.send(get(url), SECOND, 10).await.unwrap_err();
        assert!(matches!(error, TransportError::Refused(_)), "{url}: {error:?}");
    }
}

/// A server that speaks no TLS is one to which nothing was sent.
#[tokio::test]
async fn without_tls_nothing_is_sent() {
    let (address, mut seen) = raw_server(b"HTTP/1.1 200 OK\r\n\r\n").await;
    let error = ReqwestTransport::new().send(get(&address.replace("http:", "https:")), SECOND, 10).await.unwrap_err();
    assert!(matches!(error, TransportError::NotConnected(_)), "{error:?}");
    assert!(!seen.recv().await.unwrap().contains("hunter2"));
}
