//! Places that are not on the internet and that requests may go to all the same, as the project says.

use std::net::IpAddr;
use std::str::FromStr;

/// A place that requests may go to although it is not on the internet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// Addresses: `10.0.0.0/8`, `fd00::/8`, `192.168.1.20`.
    Network {
        /// The first of them.
        address: IpAddr,
        /// How many of its bits they have in common.
        prefix: u8,
    },
    /// A name, wherever it leads: `nas.local`. In lower case, without a dot at its end.
    Host(String),
}

/// A text that is neither a network nor a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAPlace;

impl Allowed {
    /// Tells whether an address is one of these. A name is none.
    pub fn has_address(&self, address: IpAddr) -> bool {
        let Self::Network { address: network, prefix } = self else { return false };
        match (network, plain(address)) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                u32::from(*prefix) == (network.to_bits() ^ address.to_bits()).leading_zeros().min(u32::from(*prefix))
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                u32::from(*prefix) == (network.to_bits() ^ address.to_bits()).leading_zeros().min(u32::from(*prefix))
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    /// Tells whether a name is this one.
    pub fn has_name(&self, name: &str) -> bool {
        match self {
            Self::Host(host) => name.strip_suffix('.').unwrap_or(name).eq_ignore_ascii_case(host),
            Self::Network { .. } => false,
        }
    }
}

/// An address of version 4 in the clothes of version 6 is that of version 4.
fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(six) => six.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

impl FromStr for Allowed {
    type Err = NotAPlace;

    fn from_str(text: &str) -> Result<Self, NotAPlace> {
        if let Some((address, prefix)) = text.split_once('/') {
            let address: IpAddr = address.parse().map_err(|_| NotAPlace)?;
            let longest = if address.is_ipv4() { 32 } else { 128 };
            let prefix: u8 = prefix.parse().map_err(|_| NotAPlace)?;
            return if prefix <= longest { Ok(Self::Network { address, prefix }) } else { Err(NotAPlace) };
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Network { address, prefix: if address.is_ipv4() { 32 } else { 128 } });
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        let label = |label: &str| {
            !label.is_empty() && label.len() <= 63 && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        // A name whose last part is a number would be taken for an address, in one of its spellings.
        let numeric = name.rsplit('.').next().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_digit()));
        if name.len() <= 253 && name.split('.').all(label) && !numeric {
            return Ok(Self::Host(name.to_ascii_lowercase()));
        }
        Err(NotAPlace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_names() {
        let of = |text: &str| text.parse::<Allowed>().unwrap();
        for (place, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("192.168.1.20", "192.168.1.20", "192.168.1.21"),
            ("192.168.1.77/24", "192.168.1.1", "192.168.2.1"),
            ("127.0.0.0/8", "::ffff:127.0.0.1", "::ffff:128.0.0.1"),
            ("fd00::/8", "fd12::1", "fe80::1"),
            ("::1", "::1", "::2"),
            ("0.0.0.0/0", "10.1.1.1", "fd00::1"),
        ] {
            assert!(of(place).has_address(inside.parse().unwrap()), "{place} {inside}");
            assert!(!of(place).has_address(outside.parse().unwrap()), "{place} {outside}");
        }
        assert!(of("NAS.local").has_name("nas.local.") && !of("nas.local").has_name("a.nas.local"));
        assert!(of("localhost").has_name("LocalHost") && !of("localhost").has_address("127.0.0.1".parse().unwrap()));
        for bad in
            ["", ".", "a..b", "10.0.0.0/33", "10.0.0/8", "fd00::/129", "http://nas", "nas:80", "*", "*.local", "127.1", "0x7f.1"]
        {
            assert!(bad.parse::<Allowed>().is_err(), "{bad}");
        }
    }
}
