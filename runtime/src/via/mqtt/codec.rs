//! The packets of MQTT 3.1.1 (OASIS standard of 2014): those that a client writes, and those that a broker sends it.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// A message with more is read past: nobody would want it in a flow.
pub(crate) const MAX_MESSAGE: usize = 1024 * 1024;
/// No packet is longer: its length has four bytes.
pub(super) const MAX_PACKET: usize = 268_435_455;

/// How sure it is that a message arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Qos {
    /// At most once.
    AtMost,
    /// At least once.
    AtLeast,
    /// Once.
    Exactly,
}

impl Qos {
    pub(crate) fn of(number: u64) -> Option<Self> {
        match number {
            0 => Some(Self::AtMost),
            1 => Some(Self::AtLeast),
            2 => Some(Self::Exactly),
            _ => None,
        }
    }

    fn bits(self) -> u8 {
        match self {
            Self::AtMost => 0,
            Self::AtLeast => 1,
            Self::Exactly => 2,
        }
    }
}

/// What a broker sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Packet {
    ConnAck {
        session_present: bool,
        code: u8,
    },
    Publish {
        again: bool,
        retained: bool,
        qos: Qos,
        /// Where the quality of service is above "at most once".
        id: Option<u16>,
        topic: String,
        payload: Bytes,
    },
    /// A message beyond the bound: its content is read past.
    TooLarge {
        qos: Qos,
        id: Option<u16>,
        topic: String,
        bytes: usize,
    },
    PubAck(u16),
    PubRec(u16),
    PubRel(u16),
    PubComp(u16),
    SubAck {
        id: u16,
        codes: Vec<u8>,
    },
    UnsubAck(u16),
    PingResp,
}

/// What comes is no MQTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the broker sends what is no MQTT: {0}")]
pub(crate) struct Malformed(&'static str);

/// Reads packets out of what has come so far.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// Bytes of a message that nobody wants.
    skip: usize,
}

impl Decoder {
    /// Takes the next packet; `None` where more has to come first.
    pub(crate) fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Packet>, Malformed> {
        let skipped = self.skip.min(buffer.len());
        buffer.advance(skipped);
        self.skip -= skipped;
        if self.skip > 0 {
            return Ok(None);
        }
        let Some((length, header)) = remaining_length(buffer)? else { return Ok(None) };
        let first = buffer[0];
        // What is no MQTT is not waited for.
        let fits = match first >> 4 {
            PUBLISH => length >= 2,
            CONNACK | PUBACK | PUBREC | PUBREL | PUBCOMP | UNSUBACK => length == 2,
            SUBACK => length > 2,
            PINGRESP => length == 0,
            _ => false,
        };
        if !fits {
            return Err(Malformed("a packet that no broker sends"));
        }
        if length > MAX_MESSAGE {
            return self.too_large(buffer, first, length, header);
        }
        if buffer.len() < header + length {
            return Ok(None);
        }
        buffer.advance(header);
        let body = buffer.split_to(length).freeze();
        packet(first, body).map(Some)
    }

    /// Reads the head of a message whose content is not wanted.
    fn too_large(&mut self, buffer: &mut BytesMut, first: u8, length: usize, header: usize) -> Result<Option<Packet>, Malformed> {
        if first >> 4 != PUBLISH {
            return Err(Malformed("a packet without an end"));
        }
        // The topic and the id are within this.
        let head = (usize::from(u16::MAX) + 4).min(length);
        if buffer.len() < header + head {
            return Ok(None);
        }
        buffer.advance(header);
        let mut start = Bytes::copy_from_slice(&buffer[..head]);
        let (qos, topic, id) = publish_head(first, &mut start)?;
        let skipped = length.min(buffer.len());
        buffer.advance(skipped);
        self.skip = length - skipped;
        Ok(Some(Packet::TooLarge { qos, id, topic, bytes: length }))
    }
}

const CONNECT: u8 = 1;
const CONNACK: u8 = 2;
const PUBLISH: u8 = 3;
const PUBACK: u8 = 4;
const PUBREC: u8 = 5;
const PUBREL: u8 = 6;
const PUBCOMP: u8 = 7;
const SUBSCRIBE: u8 = 8;
const SUBACK: u8 = 9;
const UNSUBSCRIBE: u8 = 10;
const UNSUBACK: u8 = 11;
const PINGREQ: u8 = 12;
const PINGRESP: u8 = 13;
const DISCONNECT: u8 = 14;

/// The length behind the first byte, and how many bytes stand before what it counts.
fn remaining_length(buffer: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let mut length = 0;
    for at in 0..4 {
        let Some(byte) = buffer.get(1 + at) else { return Ok(None) };
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Ok(Some((length, 2 + at)));
        }
    }
    Err(Malformed("a length of more than four bytes"))
}

fn packet(first: u8, mut body: Bytes) -> Result<Packet, Malformed> {
    let read = match first >> 4 {
        CONNACK if body.len() == 2 => Packet::ConnAck { session_present: body[0] & 1 == 1, code: body[1] },
        PUBLISH => {
            let (qos, topic, id) = publish_head(first, &mut body)?;
            Packet::Publish { again: first & 8 != 0, retained: first & 1 != 0, qos, id, topic, payload: body }
        }
        PUBACK => Packet::PubAck(id_alone(&body)?),
        PUBREC => Packet::PubRec(id_alone(&body)?),
        PUBREL => Packet::PubRel(id_alone(&body)?),
        PUBCOMP => Packet::PubComp(id_alone(&body)?),
        SUBACK if body.len() > 2 => Packet::SubAck { id: body.get_u16(), codes: body.to_vec() },
        UNSUBACK => Packet::UnsubAck(id_alone(&body)?),
        PINGRESP if body.is_empty() => Packet::PingResp,
        _ => return Err(Malformed("a packet that no broker sends")),
    };
    Ok(read)
}

fn publish_head(first: u8, body: &mut Bytes) -> Result<(Qos, String, Option<u16>), Malformed> {
    let qos = Qos::of(u64::from(first >> 1 & 3)).ok_or(Malformed("an unknown quality of service"))?;
    let length = usize::from(body.try_get_u16().map_err(|_| Malformed("a message without a topic"))?);
    if body.len() < length {
        return Err(Malformed("a topic that is cut off"));
    }
    let topic = String::from_utf8(body.split_to(length).to_vec()).map_err(|_| Malformed("a topic that is no UTF-8"))?;
    if topic.is_empty() || topic.contains(['+', '#', '\0']) {
        return Err(Malformed("a topic that no message can have"));
    }
    let id = match qos {
        Qos::AtMost => None,
        Qos::AtLeast | Qos::Exactly => {
            let id = body.try_get_u16().ok().filter(|id| *id > 0);
            Some(id.ok_or(Malformed("a message without an id"))?)
        }
    };
    Ok((qos, topic, id))
}

fn id_alone(body: &[u8]) -> Result<u16, Malformed> {
    match body {
        [high, low] => Ok(u16::from_be_bytes([*high, *low])),
        _ => Err(Malformed("an acknowledgement of nothing")),
    }
}

/// What a client says first.
pub(crate) struct Connect<'a> {
    pub(crate) client_id: &'a str,
    /// What the broker kept is dropped, and nothing is kept.
    pub(crate) clean: bool,
    pub(crate) keep_alive_s: u16,
    pub(crate) username: Option<&'a str>,
    pub(crate) password: Option<&'a str>,
    /// A topic, and what the broker publishes there, retained, when the client is gone.
    pub(crate) will: Option<(&'a str, &'a str)>,
}

/// Writes the first packet of a client.
pub(crate) fn connect(out: &mut BytesMut, options: &Connect<'_>) {
    let mut flags = 0;
    flags |= u8::from(options.clean) << 1;
    if options.will.is_some() {
        flags |= 1 << 2 | Qos::AtLeast.bits() << 3 | 1 << 5;
    }
    flags |= u8::from(options.username.is_some()) << 7 | u8::from(options.username.and(options.password).is_some()) << 6;
    let mut body = BytesMut::new();
    text(&mut body, "MQTT");
    body.put_u8(4);
    body.put_u8(flags);
    body.put_u16(options.keep_alive_s);
    text(&mut body, options.client_id);
    if let Some((topic, payload)) = options.will {
        text(&mut body, topic);
        text(&mut body, payload);
    }
    if let Some(username) = options.username {
        text(&mut body, username);
        if let Some(password) = options.password {
            text(&mut body, password);
        }
    }
    whole(out, CONNECT << 4, &body);
}

/// Writes a message.
pub(crate) fn publish(out: &mut BytesMut, topic: &str, payload: &[u8], qos: Qos, retain: bool, id: u16) {
    let mut body = BytesMut::with_capacity(topic.len() + payload.len() + 4);
    text(&mut body, topic);
    if qos > Qos::AtMost {
        body.put_u16(id);
    }
    body.put_slice(payload);
    whole(out, PUBLISH << 4 | qos.bits() << 1 | u8::from(retain), &body);
}

/// Writes that filters are wanted.
pub(crate) fn subscribe<'f>(out: &mut BytesMut, id: u16, filters: impl IntoIterator<Item = &'f str>, qos: Qos) {
    let mut body = BytesMut::new();
    body.put_u16(id);
    for filter in filters {
        text(&mut body, filter);
        body.put_u8(qos.bits());
    }
    whole(out, SUBSCRIBE << 4 | 2, &body);
}

/// Writes that filters are wanted no more.
pub(crate) fn unsubscribe<'f>(out: &mut BytesMut, id: u16, filters: impl IntoIterator<Item = &'f str>) {
    let mut body = BytesMut::new();
    body.put_u16(id);
    for filter in filters {
        text(&mut body, filter);
    }
    whole(out, UNSUBSCRIBE << 4 | 2, &body);
}

/// Writes that a message at least once is taken over.
pub(crate) fn puback(out: &mut BytesMut, id: u16) {
    whole(out, PUBACK << 4, &id.to_be_bytes());
}

/// Writes that a message once is taken over.
pub(crate) fn pubrec(out: &mut BytesMut, id: u16) {
    whole(out, PUBREC << 4, &id.to_be_bytes());
}

/// Writes that the broker may hand it on.
pub(crate) fn pubrel(out: &mut BytesMut, id: u16) {
    whole(out, PUBREL << 4 | 2, &id.to_be_bytes());
}

/// Writes that a message once is done with.
pub(crate) fn pubcomp(out: &mut BytesMut, id: u16) {
    whole(out, PUBCOMP << 4, &id.to_be_bytes());
}

/// Asks whether the broker is there.
pub(crate) fn pingreq(out: &mut BytesMut) {
    whole(out, PINGREQ << 4, &[]);
}

/// Says goodbye: no will is published.
pub(crate) fn disconnect(out: &mut BytesMut) {
    whole(out, DISCONNECT << 4, &[]);
}

fn whole(out: &mut BytesMut, first: u8, body: &[u8]) {
    out.put_u8(first);
    let mut left = body.len();
    loop {
        let byte = u8::try_from(left & 0x7f).unwrap_or(0);
        left >>= 7;
        out.put_u8(if left > 0 { byte | 0x80 } else { byte });
        if left == 0 {
            break;
        }
    }
    out.put_slice(body);
}

/// Whatever is longer was refused before.
fn text(out: &mut BytesMut, text: &str) {
    let bytes = text.as_bytes();
    let bytes = &bytes[..bytes.len().min(usize::from(u16::MAX))];
    out.put_u16(u16::try_from(bytes.len()).unwrap_or(u16::MAX));
    out.put_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_in_any_pieces_and_what_is_too_large_is_read_past() {
        let mut wire = BytesMut::new();
        publish(&mut wire, "a/b", b"hello", Qos::AtLeast, true, 7);
        publish(&mut wire, "big", &vec![b'x'; MAX_MESSAGE + 1], Qos::Exactly, false, 8);
        whole(&mut wire, PINGRESP << 4, &[]);
        let (mut decoder, mut buffer, mut found) = (Decoder::default(), BytesMut::new(), Vec::new());
        for piece in wire.chunks(9973) {
            buffer.extend_from_slice(piece);
            while let Some(packet) = decoder.next(&mut buffer).expect("it is MQTT") {
                found.push(packet);
            }
            assert!(buffer.len() < 100_000, "what is read past is not kept");
        }
        assert!(matches!(&found[0], Packet::Publish { topic, payload, retained: true, id: Some(7), .. }
            if topic == "a/b" && payload[..] == b"hello"[..]));
        assert!(matches!(&found[1], Packet::TooLarge { topic, id: Some(8), .. } if topic == "big"));
        assert_eq!(found[2], Packet::PingResp);
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn what_is_no_mqtt_is_an_error_and_never_a_panic() {
        for wire in [
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0x7f][..],
            &[0x30, 0x00],
            &[0x30, 0x03, 0x00, 0x05, b'a'],
            &[0x30, 0x03, 0x00, 0x01, 0xff],
            &[0x36, 0x04, 0x00, 0x01, b'a', 0x00],
            &[0x32, 0x03, 0x00, 0x01, b'a'],
            &[0x32, 0x05, 0x00, 0x01, b'a', 0x00, 0x00],
            &[0x30, 0x02, 0x00, 0x00],
            &[0x30, 0x03, 0x00, 0x01, 0x00],
            &[0x30, 0x05, 0x00, 0x03, b'a', b'/', b'+'],
            &[0x40, 0x01, 0x00],
            &[0x20, 0x00],
            &[0x90, 0x02, 0x00, 0x01],
            &[0x10, 0xff, 0xff, 0xff, 0x7f],
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
        ] {
            assert!(Decoder::default().next(&mut BytesMut::from(wire)).is_err(), "{wire:?}");
        }
    }
}
