//! Where requests may go: into the internet, unless flow.toml names the address.
//!
//! A connector's own address can hold settings, a name server can say what it likes, and can say another thing a moment later. So
//! the address that a connection is made to is looked at, not the name: a name is resolved once, and what it led to is what is used.
//! `[http] allow` names networks and machines that are meant all the same.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use flow_plan::Allowed;
use reqwest::Url;
use reqwest::dns::{Name, Resolve, Resolving};

/// A request would have gone to this machine, its network, or another place that is not on the internet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the address leads to {0}, which is not on the internet: where that is meant, give it as `base_url` of the connection in flow.toml, or name it in `allow` under [http]"
)]
pub(super) struct NotPublic(IpAddr);

/// Checks a host that is written as a number. Names are looked at when they are resolved.
pub(super) fn check(url: &Url, allowed: &[Allowed]) -> Result<(), NotPublic> {
    // The parser has turned every spelling (octal, hexadecimal, short, full-width) into the address by now.
    let address = match url.host() {
        Some(url::Host::Ipv4(address)) => IpAddr::V4(address),
        Some(url::Host::Ipv6(address)) => IpAddr::V6(address),
        Some(url::Host::Domain(_)) | None => return Ok(()),
    };
    if may_reach(address, allowed) { Ok(()) } else { Err(NotPublic(address)) }
}

/// Resolves names as the system does, and leaves out what is neither on the internet nor allowed.
#[derive(Debug)]
pub(super) struct PublicOnly(pub(super) Arc<[Allowed]>);

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = Arc::clone(&self.0);
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let by_name = allowed.iter().any(|place| place.has_name(name.as_str()));
            let may = |address: &SocketAddr| by_name || may_reach(address.ip(), &allowed);
            let public: Vec<SocketAddr> = found.iter().copied().filter(may).collect();
            match (public.is_empty(), found.first()) {
                (true, Some(address)) => Err(NotPublic(address.ip()).into()),
                (true, None) => Err(io::Error::new(io::ErrorKind::NotFound, "the name leads nowhere").into()),
                (false, _) => Ok(Box::new(public.into_iter()) as reqwest::dns::Addrs),
            }
        })
    }
}

/// Tells whether a request may go to an address.
fn may_reach(address: IpAddr, allowed: &[Allowed]) -> bool {
    is_public(address) || allowed.iter().any(|place| place.has_address(address))
}

/// Tells whether an address is on the internet: none of IANA's special-purpose registries has it (RFC 6890 and its updates).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224..=255, _, _)
            // Shared by providers and their customers.
            | (100, 64..=127, _)
            // Links; the address where clouds keep what a machine may know of itself.
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18..=19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    // An address of version 4 in other clothes: mapped, or behind a translator.
    if let Some(inner) = address.to_ipv4_mapped() {
        return is_public_v4(inner);
    }
    if address.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0] {
        let [.., high, low] = address.segments();
        return is_public_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    }
    match first {
        // Protocol assignments (Teredo among them) and documentation.
        0x2001 => second >= 0x0200 && second != 0x0db8,
        // 6to4 carries an address of version 4, and is not used any more.
        0x2002 => false,
        0x3fff => second >= 0x1000,
        _ => first & 0xe000 == 0x2000,
    }
}
