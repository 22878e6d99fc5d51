//! RSS 2.0, RSS 1.0 and Atom, read leniently: a document is what people have written.

use std::borrow::Cow;
use std::collections::HashMap;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use super::entity::{character, plain};

/// A feed.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Document {
    pub(super) title: Option<String>,
    /// How long it stays good, as it says itself.
    pub(super) ttl_minutes: u64,
    /// In the order of the document.
    pub(super) items: Vec<Item>,
    /// It ends before its end.
    pub(super) is_cut: bool,
}

/// An item.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Item {
    pub(super) id: Option<String>,
    pub(super) title: Option<String>,
    pub(super) link: Option<String>,
    pub(super) published: Option<String>,
    pub(super) author: Option<String>,
    pub(super) summary: Option<String>,
    pub(super) content: Option<String>,
    pub(super) categories: Vec<String>,
}

impl Item {
    /// What tells it from all others of its feed.
    pub(super) fn identity(&self) -> String {
        let found = self.id.as_ref().or(self.link.as_ref());
        found.cloned().unwrap_or_else(|| {
            let text = |part: &Option<String>| part.clone().unwrap_or_default();
            super::digest(&match (&self.title, &self.published) {
                // All that it is.
                (None, None) => self.content_text(),
                _ => format!("{}\n{}", text(&self.title), text(&self.published)),
            })
        })
    }

    /// What changes where it is changed.
    pub(super) fn content_text(&self) -> String {
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        [&self.title, &self.link, &self.summary, &self.content].map(text).join("\n")
    }
}

/// Elements lie no deeper within each other.
const DEEPEST: usize = 100;
/// A document with more items is read so far.
const MOST_ITEMS: usize = 5000;
/// So much of one text is read.
const LONGEST: usize = 256 * 1024;
const MOST_CATEGORIES: usize = 100;

/// The vocabularies that are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Space {
    /// RSS of any version, and Atom.
    Own,
    DublinCore,
    Content,
    Rdf,
    Other,
}

/// Where the text of an element goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    FeedTitle,
    Ttl,
    Id,
    Title,
    Link,
    Published,
    Updated,
    Author,
    Summary,
    Content,
    Category,
}

/// Reads a document.
///
/// # Errors
/// Where it is no feed.
pub(super) fn document(bytes: &[u8], content_type: Option<&str>) -> Result<Document, String> {
    let text = decoded(bytes, content_type);
    let mut reader = Reader::from_str(text.trim_start());
    let config = reader.config_mut();
    config.allow_dangling_amp = true;
    config.allow_unmatched_ends = true;
    config.check_end_names = false;
    let mut reading = Reading::default();
    loop {
        match reader.read_event() {
            Ok(Event::Start(start)) => reading.begin(&start)?,
            Ok(Event::Empty(start)) => {
                reading.begin(&start)?;
                reading.end();
            }
            Ok(Event::End(end)) => reading.close(end.name().as_ref()),
            Ok(Event::Text(text)) => reading.text(&text.xml10_content()),
            Ok(Event::CData(text)) => reading.text(&text.xml10_content()),
            Ok(Event::GeneralRef(name)) => match character(&name) {
                Some(character) => reading.text(character.encode_utf8(&mut [0; 4])),
                None => reading.text(&format!("&{};", &*name)),
            },
            Ok(Event::Eof) => break,
            Ok(Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_)) => {}
            // What was read so far is good: a document that is cut off in its last item has the others.
            Err(_) if reading.is_feed => {
                reading.document.is_cut = true;
                break;
            }
            Err(error) => return Err(format!("it is no XML: {error}")),
        }
    }
    if !reading.is_feed {
        return Err(if text.trim().is_empty() { "it is empty" } else { "it is no feed" }.to_owned());
    }
    reading.document.is_cut |= !reading.open.is_empty();
    Ok(reading.document)
}

#[derive(Default)]
struct Reading {
    document: Document,
    is_feed: bool,
    spaces: HashMap<String, Space>,
    /// The elements that are open.
    open: Vec<(Space, String)>,
    item: Option<(Item, usize)>,
    updated: Option<String>,
    /// What is being read, and how deep its element lies.
    capture: Option<(Place, usize, String)>,
}

impl Reading {
    fn begin(&mut self, start: &BytesStart<'_>) -> Result<(), String> {
        if self.open.len() >= DEEPEST {
            return Err("its elements lie too deep within each other".to_owned());
        }
        let attributes: Vec<(String, String)> = start
            .html_attributes()
            .filter_map(Result::ok)
            .take(50)
            .map(|attribute| {
                let value = attribute.normalized_value(XmlVersion::Implicit1_0).unwrap_or_else(|_| attribute.value.clone());
                (AsRef::<str>::as_ref(&attribute.key).to_owned(), value.into_owned())
            })
            .collect();
        for (name, value) in &attributes {
            if let Some(prefix) = name.strip_prefix("xmlns:")
                && self.spaces.len() < 100
            {
                self.spaces.insert(prefix.to_owned(), space(value));
            }
        }
        let name = start.name();
        let name: &str = name.as_ref();
        let (space, local) = match name.split_once(':') {
            None => (Space::Own, name),
            Some((prefix, local)) => (self.spaces.get(prefix).copied().unwrap_or_else(|| usual(prefix)), local),
        };
        let attribute = |wanted: &str| attributes.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
        self.open.push((space, local.to_owned()));
        let depth = self.open.len();
        if depth == 1 {
            self.is_feed = matches!((space, local), (Space::Own, "rss" | "feed") | (Space::Rdf, "RDF"));
            return if self.is_feed {
                Ok(())
            } else {
                Err(format!("it is no feed, but `{}`", local.chars().take(40).collect::<String>()))
            };
        }
        if self.capture.is_some() {
            return Ok(());
        }
        if (space, self.item.is_none()) == (Space::Own, true) && matches!(local, "item" | "entry") {
            let about = attributes.iter().find(|(name, _)| name.ends_with(":about")).map(|(_, value)| value.clone());
            self.item = Some((Item { id: about, ..Item::default() }, depth));
            self.updated = None;
            return Ok(());
        }
        let place = self.place(space, local, depth);
        if let (Some((item, _)), Space::Own, "link", Some(href)) = (&mut self.item, space, local, attribute("href")) {
            let rel = attribute("rel");
            if item.link.is_none() && rel.as_deref().is_none_or(|rel| rel == "alternate") {
                item.link = Some(href);
            }
            return Ok(());
        }
        if let (Some(Place::Category), Some(term)) = (place, attribute("term")) {
            self.put(Place::Category, &term);
            return Ok(());
        }
        self.capture = place.map(|place| (place, depth, String::new()));
        Ok(())
    }

    fn place(&self, space: Space, local: &str, depth: usize) -> Option<Place> {
        let Some((_, at)) = &self.item else {
            // `rss/channel/title`, `feed/title`, `RDF/channel/title`.
            return match (space, local) {
                (Space::Own, "title") if depth <= 3 && !self.is_within("image") => Some(Place::FeedTitle),
                (Space::Own, "ttl") => Some(Place::Ttl),
                _ => None,
            };
        };
        let parent = self.open.len().checked_sub(2).and_then(|at| self.open.get(at)).map(|(_, name)| name.as_str());
        if depth == at + 2 && (space, local, parent) == (Space::Own, "name", Some("author")) {
            return Some(Place::Author);
        }
        if depth != at + 1 {
            return None;
        }
        match (space, local) {
            (Space::Own, "guid" | "id") => Some(Place::Id),
            (Space::Own, "title") => Some(Place::Title),
            (Space::Own, "link") => Some(Place::Link),
            (Space::Own, "pubDate" | "published") | (Space::DublinCore, "date") => Some(Place::Published),
            (Space::Own, "updated") => Some(Place::Updated),
            (Space::DublinCore, "creator") => Some(Place::Author),
            // In Atom it has a name in it.
            (Space::Own, "author") if self.open.first().is_some_and(|(_, root)| root != "feed") => Some(Place::Author),
            (Space::Own, "description" | "summary") => Some(Place::Summary),
            (Space::Own, "content") | (Space::Content, "encoded") => Some(Place::Content),
            (Space::Own, "category") | (Space::DublinCore, "subject") => Some(Place::Category),
            _ => None,
        }
    }

    fn is_within(&self, name: &str) -> bool {
        self.open.iter().any(|(_, open)| open == name)
    }

    fn text(&mut self, text: &str) {
        if let Some((_, _, found)) = &mut self.capture
            && found.len() < LONGEST
        {
            let left = LONGEST - found.len();
            let end = text.floor_char_boundary(left.min(text.len()));
            found.push_str(&text[..end]);
        }
    }

    /// Ends an element, and those in it whose own ends are missing.
    fn close(&mut self, name: &str) {
        let local = name.split_once(':').map_or(name, |(_, local)| local);
        if let Some(at) = self.open.iter().rposition(|(_, open)| open == local) {
            while self.open.len() > at {
                self.end();
            }
        }
    }

    fn end(&mut self) {
        let depth = self.open.len();
        if let Some((place, at, text)) = self.capture.take() {
            if at == depth {
                self.put(place, &text);
            } else {
                self.capture = Some((place, at, text));
            }
        }
        self.open.pop();
        if self.item.as_ref().is_some_and(|(_, at)| *at == depth)
            && let Some((mut item, _)) = self.item.take()
        {
            item.published = item.published.or(self.updated.take());
            let is_empty = item == Item::default();
            if !is_empty && self.document.items.len() < MOST_ITEMS {
                self.document.items.push(item);
            }
        }
    }

    fn put(&mut self, place: Place, text: &str) {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        let first = |slot: &mut Option<String>, text: String| {
            if slot.is_none() && !text.is_empty() {
                *slot = Some(text);
            }
        };
        match place {
            Place::FeedTitle => return first(&mut self.document.title, plain(text)),
            Place::Ttl => {
                self.document.ttl_minutes = text.parse().unwrap_or(0).min(24 * 60);
                return;
            }
            Place::Updated => return first(&mut self.updated, text.to_owned()),
            _ => {}
        }
        let Some((item, _)) = &mut self.item else { return };
        match place {
            Place::Id => item.id = Some(text.to_owned()),
            Place::Title => first(&mut item.title, plain(text)),
            Place::Link => first(&mut item.link, text.to_owned()),
            Place::Published => first(&mut item.published, text.to_owned()),
            Place::Author => first(&mut item.author, plain(text)),
            Place::Summary => first(&mut item.summary, text.to_owned()),
            Place::Content => first(&mut item.content, text.to_owned()),
            Place::Category if item.categories.len() < MOST_CATEGORIES => item.categories.push(plain(text)),
            Place::Category | Place::FeedTitle | Place::Ttl | Place::Updated => {}
        }
    }
}

fn space(uri: &str) -> Space {
    match uri.trim_end_matches('/') {
        "http://www.w3.org/2005/Atom"
        | "http://purl.org/rss/1.0"
        | "http://purl.org/atom/ns#"
        | "http://my.netscape.com/rdf/simple/0.9" => Space::Own,
        "http://purl.org/dc/elements/1.1" | "http://purl.org/dc/terms" => Space::DublinCore,
        "http://purl.org/rss/1.0/modules/content" => Space::Content,
        "http://www.w3.org/1999/02/22-rdf-syntax-ns#" => Space::Rdf,
        _ => Space::Other,
    }
}

/// What a prefix means that nobody has declared.
fn usual(prefix: &str) -> Space {
    match prefix {
        "dc" => Space::DublinCore,
        "content" => Space::Content,
        "rdf" => Space::Rdf,
        _ => Space::Other,
    }
}

/// The text of a document, whatever it is written in: as its bytes show, as the answer says, as it says itself, else UTF-8.
fn decoded<'b>(bytes: &'b [u8], content_type: Option<&str>) -> Cow<'b, str> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        Cow::Owned(String::from_utf16_lossy(&units))
    };
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => return String::from_utf8_lossy(rest),
        [0xff, 0xfe, rest @ ..] => return utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => return utf16(rest, u16::from_be_bytes),
        // Every second byte of what begins with `<` is none.
        [b'<', 0, _, 0, ..] => return utf16(bytes, u16::from_le_bytes),
        [0, b'<', 0, _, ..] => return utf16(bytes, u16::from_be_bytes),
        _ => {}
    }
    // Whatever is said of it: what reads as UTF-8 is UTF-8.
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).to_ascii_lowercase();
    let declared = head.split_once("encoding=").map(|(_, rest)| rest.trim_start_matches(['"', '\'']).to_owned());
    let told = content_type.and_then(|text| Some(text.to_ascii_lowercase().split_once("charset=")?.1.to_owned()));
    let latin = |name: &str| {
        ["iso-8859-1", "latin1", "windows-1252", "us-ascii"].iter().any(|known| name.trim_matches('"').starts_with(known))
    };
    if told.iter().chain(&declared).any(|name| latin(name)) {
        return Cow::Owned(bytes.iter().map(|byte| windows_1252(*byte)).collect());
    }
    String::from_utf8_lossy(bytes)
}

fn windows_1252(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘', '’', '“',
        '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9f => HIGH[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Document {
        document(text.as_bytes(), None).expect("it is a feed")
    }

    #[test]
    fn rss_2() {
        let found = read(
            r#"<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY big "bomb">]>
            <rss version="2.0" xmlns:c="http://purl.org/rss/1.0/modules/content/" xmlns:media="http://search.yahoo.com/mrss/">
            <channel><title>News &amp; more</title><ttl>30</ttl><image><title>Logo</title></image>
            <item><title>A &lt;b&gt;bold&lt;/b&gt; &eacute; &big; title</title><media:title>other</media:title>
              <link>/a?x=1&amp;y=2</link><guid isPermaLink="false">g1</guid><pubDate>Sat, 07 Sep 2002 00:00:01 GMT</pubDate>
              <author>ann@example.org (Ann)</author><description><![CDATA[<p>Short</p>]]></description>
              <c:encoded><![CDATA[<p>Long</p>]]></c:encoded><category>one</category><category>two</category></item>
            <item><title>Second</title></item></channel></rss>"#,
        );
        assert_eq!((found.title.as_deref(), found.ttl_minutes, found.items.len()), (Some("News & more"), 30, 2));
        let item = &found.items[0];
        assert_eq!(item.title.as_deref(), Some("A bold é &big; title"), "no entity of the document is looked up");
        assert_eq!((item.link.as_deref(), item.identity().as_str()), (Some("/a?x=1&y=2"), "g1"));
        assert_eq!((item.summary.as_deref(), item.content.as_deref()), (Some("<p>Short</p>"), Some("<p>Long</p>")));
        assert_eq!((item.categories.len(), item.author.as_deref()), (2, Some("ann@example.org (Ann)")));
        assert_ne!(found.items[1].identity(), item.identity());
    }

    #[test]
    fn atom() {
        let found = read(
            r#"<feed xmlns="http://www.w3.org/2005/Atom"><title type="html">Blog &amp;lt;3</title><link href="https://example.org/"/>
            <entry><title type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">A <em>new</em> one</div></title>
              <link rel="self" href="self"/><link href="posts/1"/><id>tag:example.org,2026:1</id><updated>2026-01-02T00:00:00Z</updated>
              <author><name>Ann</name><email>a@example.org</email></author><category term="rust"/><summary>Short</summary></entry></feed>"#,
        );
        let item = &found.items[0];
        assert_eq!((item.title.as_deref(), item.link.as_deref()), (Some("A new one"), Some("posts/1")));
        assert_eq!((item.author.as_deref(), item.published.as_deref()), (Some("Ann"), Some("2026-01-02T00:00:00Z")));
        assert_eq!((item.categories.as_slice(), found.title.as_deref()), (&["rust".to_owned()][..], Some("Blog <3")));
    }

    #[test]
    fn rss_1() {
        let found = read(
            r#"<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/">
            <channel rdf:about="https://example.org/"><title>Old</title><items><rdf:Seq><rdf:li resource="https://example.org/1"/></rdf:Seq></items></channel>
            <item rdf:about="https://example.org/1"><title>One</title><link>https://example.org/1</link><dc:creator>Ann</dc:creator><dc:date>2026-01-02</dc:date></item></rdf:RDF>"#,
        );
        let item = &found.items[0];
        assert_eq!((item.identity().as_str(), item.author.as_deref()), ("https://example.org/1", Some("Ann")));
        assert_eq!((found.title.as_deref(), item.published.as_deref()), (Some("Old"), Some("2026-01-02")));
    }

    #[test]
    fn documents_lie() {
        assert!(document(b"<html><body>Not found</body></html>", None).is_err());
        assert!(document(b"", None).is_err());
        assert!(document(b"{\"a\": 1}", None).is_err());
        let deep = format!("<rss>{}", "<a>".repeat(200));
        assert!(document(deep.as_bytes(), None).is_err());
        let cut = "<rss><channel><item><title>One</title></item><item><title>Tw";
        assert_eq!((read(cut).items.len(), read(cut).is_cut), (1, true));
        for cut in [
            "<rss><channel><item><title>One</title></item>",
            "<rss><channel><item><title>One</title></item><item",
            "<rss><channel>",
        ] {
            assert!(read(cut).is_cut, "{cut}");
        }
        assert!(
            !read("<rss><channel><item><title>a<br>b</title></item></channel></rss>").is_cut,
            "an end is missing, and not the end"
        );
        let of = |text: &str, unit: fn(u16) -> [u8; 2]| -> Vec<u8> { text.encode_utf16().flat_map(unit).collect() };
        let wide = "<?xml version=\"1.0\" encoding=\"utf-16\"?><rss><channel><item><title>é🚪</title></item></channel></rss>";
        for bytes in [
            of(wide, u16::to_le_bytes),
            of(wide, u16::to_be_bytes),
            [vec![0xff, 0xfe], of(wide, u16::to_le_bytes)].concat(),
            [vec![0xfe, 0xff], of(wide, u16::to_be_bytes)].concat(),
            [vec![0xef, 0xbb, 0xbf], wide.as_bytes().to_vec()].concat(),
        ] {
            assert_eq!(document(&bytes, None).expect("a feed").items[0].title.as_deref(), Some("é🚪"));
        }
        let bare = "<rss><channel><item><description>one</description></item><item><description>two</description></item></channel></rss>";
        assert_ne!(
            read(bare).items[0].identity(),
            read(bare).items[1].identity(),
            "what has nothing but a text is told apart by it"
        );
        let laughs = format!(
            "<!DOCTYPE lolz [<!ENTITY a \"lol\">{}<!ENTITY x SYSTEM \"file:///etc/passwd\">]><rss><channel><item><title>&j;&x;</title></item></channel></rss>",
            ('b'..='j')
                .map(|name| format!("<!ENTITY {name} \"{}\">", format!("&{};", char::from(name as u8 - 1)).repeat(10)))
                .collect::<String>()
        );
        assert_eq!(read(&laughs).items[0].title.as_deref(), Some("&j;&x;"));
        let latin =
            b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><rss><channel><item><title>\xe9\x80</title></item></channel></rss>";
        assert_eq!(document(latin, None).expect("a feed").items[0].title.as_deref(), Some("é€"));
        let wrong = "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><rss><channel><item><title>é</title></item></channel></rss>";
        assert_eq!(read(wrong).items[0].title.as_deref(), Some("é"), "it says Latin 1 and is UTF-8");
        let amp = "<rss><channel><item><title>Q&A & more</title><link>https://a.example/?a=1&b=2</link></item></channel></rss>";
        assert_eq!(read(amp).items[0].link.as_deref(), Some("https://a.example/?a=1&b=2"));
    }
}
