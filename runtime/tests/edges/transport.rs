use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flow_runtime::transport::ReqwestTransport;
use flow_runtime::world::{Guard, HttpRequest, Reach, Transport, TransportError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};

use crate::support::PATIENCE;

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
    HttpRequest {
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers,
        body: Default::default(),
        reach: Reach::Anywhere,
        guard: None,
        channel: None,
    }
}

#[tokio::test]
async fn whole_answers_come_back() {
    let (address, mut seen) = raw_server(b"HTTP/1.1 201 Created\r\nX-Thing: a\r\nContent-Length: 2\r\n\r\nok").await;
    let mut request = get(&format!("{address}/a?b=%2F&c[0]=d"));
    request.method = "POST".to_owned();
    request.body = "x=1".into();
    let answer = ReqwestTransport::new().send(request, PATIENCE, 100).await.unwrap();
    assert_eq!((answer.status, answer.header("x-thing"), &answer.body[..]), (201, Some("a"), &b"ok"[..]));
    let request = seen.recv().await.unwrap();
    assert!(request.starts_with("POST /a?b=%2F&c[0]=d HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("user-agent: flowd/") && request.ends_with("x=1"), "{request}");
    assert!(!request.to_lowercase().contains("accept-encoding"), "{request}");
}

#[tokio::test]
async fn redirects_are_answers_and_not_followed() {
    let (address, _) = raw_server(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/steal\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(ReqwestTransport::new().send(get(&address), PATIENCE, 100).await.unwrap().status, 302);
}

#[tokio::test]
async fn what_was_not_sent_is_told_from_what_may_have_been() {
    // Nobody listens there, and nobody else is given it.
    let free = TcpSocket::new_v4().unwrap();
    free.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let free = (free.local_addr().unwrap(), free);
    let transport = ReqwestTransport::new();
    let nobody = transport.send(get(&format!("http://{}/x?key=hunter2", free.0)), PATIENCE, 100).await.unwrap_err();
    assert!(matches!(nobody, TransportError::NotConnected(_)), "{nobody:?}");
    for cut in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"SMTP ready\r\n\r\n",
    ] {
        let (address, _) = raw_server(cut).await;
        let error = transport.send(get(&format!("{address}/x?key=hunter2")), PATIENCE, 100).await.unwrap_err();
        assert!(matches!(error, TransportError::NoAnswer(_)), "{error:?}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn what_its_guard_forbids_when_the_connection_stands_is_not_sent() {
    let transport = ReqwestTransport::new();
    for alone in [true, false] {
        let (address, mut seen) = raw_server(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok").await;
        // The first of them may be sent.
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let forbids = move || (count.fetch_add(1, Ordering::SeqCst) > 0).then(|| "it is too old".to_owned());
        let guard = Some(Guard { forbids: Arc::new(forbids), alone });
        let request = || HttpRequest { guard: guard.clone(), ..get(&address) };
        assert_eq!(transport.send(request(), PATIENCE, 100).await.unwrap().status, 200);
        assert!(seen.recv().await.unwrap().starts_with("GET / HTTP/1.1"));
        let error = transport.send(request(), PATIENCE, 100).await.unwrap_err();
        assert!(matches!(&error, TransportError::NotConnected(reason) if reason.contains("it is too old")), "{error:?}");
        assert_eq!(seen.recv().await.unwrap(), "", "a connection without a byte");
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        // Another's guard is not asked.
        assert_eq!(transport.send(get(&address), PATIENCE, 100).await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn bounds_of_size_and_time() {
    let transport = ReqwestTransport::new();
    let (large, _) = raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world").await;
    assert!(matches!(transport.send(get(&large), PATIENCE, 10).await, Err(TransportError::NoAnswer(_))));
    assert!(transport.send(get(&large), PATIENCE, 11).await.is_ok());
    let (chunked, _) =
        raw_server(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n").await;
    assert!(matches!(transport.send(get(&chunked), PATIENCE, 10).await, Err(TransportError::NoAnswer(_))));
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let error = transport.send(get(&address), Duration::from_secs(1), 10).await.unwrap_err();
    assert_eq!(error, TransportError::NoAnswer("it took too long".to_owned()));
}

#[tokio::test]
async fn nonsense_is_not_sent() {
    let transport = ReqwestTransport::new();
    let mut broken = get("http://127.0.0.1:1/");
    broken.headers.push(("x".to_owned(), "a\r\nb".to_owned()));
    assert!(matches!(transport.send(broken, PATIENCE, 10).await, Err(TransportError::Refused(_))));
    for url in ["", "nonsense", "ftp://127.0.0.1/", "http://"] {
        let error = transport.send(get(url), PATIENCE, 10).await.unwrap_err();
        assert!(matches!(error, TransportError::Refused(_)), "{url}: {error:?}");
    }
}

/// A server that speaks no TLS is one to which nothing was sent.
#[tokio::test]
async fn without_tls_nothing_is_sent() {
    let (address, mut seen) = raw_server(b"HTTP/1.1 200 OK\r\n\r\n").await;
    let error = ReqwestTransport::new().send(get(&address.replace("http:", "https:")), PATIENCE, 10).await.unwrap_err();
    assert!(matches!(error, TransportError::NotConnected(_)), "{error:?}");
    assert!(!seen.recv().await.unwrap().contains("hunter2"));
}

/// Spellings of addresses that are not on the internet; PORT is where somebody listens.
const NOT_PUBLIC: &str = "
    127.0.0.1:PORT 127.1:PORT 127.0.1:PORT 127.255.255.254:PORT 0.0.0.0:PORT 0:PORT 0x0:PORT 2130706433:PORT 017700000001:PORT
    0x7f000001:PORT 0x7F.1:PORT 0x7f.0x0.0x0.0x1:PORT 0177.0.0.1:PORT 0177.0.0.01:PORT 0000177.0.0.1:PORT 127.0x0.0.1:PORT
    127.0.0.1.:PORT %31%32%37.0.0.1:PORT 127%2e0%2e0%2e1:PORT \u{ff11}\u{ff12}\u{ff17}.0.0.1:PORT \u{2460}\u{2461}\u{2466}.0.0.1:PORT
    127\u{3002}0\u{3002}0\u{3002}1:PORT 127\u{ff0e}0\u{ff0e}0\u{ff0e}1:PORT
    localhost:PORT LOCALHOST:PORT LocalHost.:PORT localhost\u{ff0e}:PORT \u{ff4c}ocalhost:PORT
    [::1]:PORT [0:0:0:0:0:0:0:1]:PORT [0000::0001]:PORT [::]:PORT [::ffff:127.0.0.1]:PORT [::ffff:7f00:1]:PORT [::ffff:0:0]:PORT
    [0:0:0:0:0:ffff:7f00:0001]:PORT [::FFFF:127.0.0.1]:PORT [::127.0.0.1]:PORT [::7f00:1]:PORT [64:ff9b::127.0.0.1]:PORT
    [64:ff9b::7f00:1]:PORT [64:ff9b:1::7f00:1]:PORT [2002:7f00:1::]:PORT [2002:7f00:1::1]:PORT [2001:0:7f00:1::]:PORT
    [fe80::1]:PORT [fec0::1]:PORT [fc00::1]:PORT [fd00:ec2::254]:PORT [ff02::1]:PORT [2001:db8::1]:PORT [3fff::1]:PORT [100::1]:PORT
    10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1 192.168.1.254 169.254.169.254 169.254.170.2 0xa9fea9fe 2852039166
    0251.0376.0251.0376 [::ffff:169.254.169.254] 100.100.100.200 100.64.0.1 192.0.0.192 192.0.2.1 198.18.0.1 198.51.100.7 203.0.113.9
    224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255";

#[tokio::test]
async fn nothing_but_the_internet_is_reached_unless_the_address_is_configured() {
    let (address, mut seen) = raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let port = address.rsplit(':').next().unwrap();
    let transport = ReqwestTransport::new();
    for scheme in ["http", "https"] {
        for host in NOT_PUBLIC.split_whitespace() {
            let url = format!("{scheme}://{}/latest/meta-data", host.replace("PORT", port));
            let request = HttpRequest { reach: Reach::Internet, ..get(&url) };
            let error = transport.send(request, PATIENCE, 100).await.unwrap_err();
            match error {
                TransportError::Refused(reason) => {
                    assert!(reason.contains("base_url") || reason == "the address is not valid", "{url}: {reason}");
                }
                // Not every system knows each spelling of the name.
                TransportError::NotConnected(_) if host.to_lowercase().contains("ocalhost") => {}
                error => panic!("{url}: {error:?}"),
            }
        }
    }
    assert!(seen.try_recv().is_err());
    // What flow.toml names is reached, by the same name.
    let configured = get(&format!("http://localhost:{port}/"));
    assert_eq!(transport.send(configured, PATIENCE, 100).await.unwrap().status, 200);
}

/// `[http] allow`: networks by address, machines by name, and nothing beside.
#[tokio::test]
async fn what_the_project_allows_is_reached_and_nothing_beside_it() {
    let (address, mut seen) = raw_server(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").await;
    let port = address.rsplit(':').next().unwrap();
    for (allowed, reached, refused) in [
        ("127.0.0.0/8", &["127.0.0.1", "0x7f.1", "localhost", "[::ffff:127.0.0.1]"][..], &["0.0.0.0", "[::]"][..]),
        ("127.0.0.1", &["127.0.0.1"], &["127.0.0.2", "0.0.0.0"]),
        ("localhost", &["localhost", "LOCALHOST"], &["127.0.0.1", "[::1]"]),
        ("10.0.0.0/8", &[], &["127.0.0.1", "localhost", "169.254.169.254"]),
    ] {
        let transport = ReqwestTransport::allowing([allowed.parse().unwrap()]);
        let send = async |host: &str| {
            let request = HttpRequest { reach: Reach::Internet, ..get(&format!("http://{host}:{port}/")) };
            transport.send(request, PATIENCE, 100).await
        };
        for host in reached {
            assert_eq!(send(host).await.map(|answer| answer.status), Ok(200), "{allowed}: {host}");
            assert!(seen.recv().await.unwrap().starts_with("GET / "), "{allowed}: {host}");
        }
        for host in refused {
            let error = send(host).await.unwrap_err();
            let said = matches!(&error, TransportError::Refused(reason) if reason.contains("`allow` under [http]"));
            assert!(said, "{allowed}: {host}: {error:?}");
        }
        assert!(seen.try_recv().is_err(), "{allowed}");
    }
}
