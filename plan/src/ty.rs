//! The types of the language.

use std::fmt;

use rust_decimal::Decimal;

/// A type. `Unknown` fits everywhere, so that one mistake is reported once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// Not known because of an earlier mistake.
    Unknown,
    /// A text of a kind.
    Text(TextKind),
    /// True or false.
    Bool,
    /// A whole number, with its bounds.
    Int(Option<(Decimal, Decimal)>),
    /// An exact number.
    Number,
    /// Money of any currency.
    Money,
    /// A calendar date.
    Date,
    /// A time of day.
    Time,
    /// An instant.
    DateTime,
    /// A duration.
    Duration,
    /// Any JSON.
    Json,
    /// A list.
    List(Box<Type>),
    /// Texts to values.
    Map(Box<Type>),
    /// A record of a connector: `connector`, `name`; records without a name have an empty one and their fields here.
    Record(RecordType),
    /// An enum.
    Enum {
        /// The known members.
        members: Vec<String>,
        /// Further members may appear.
        open: bool,
    },
    /// May be missing.
    Optional(Box<Type>),
    /// No result.
    Nothing,
}

/// The kinds of texts: plain, or with a meaning.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TextKind {
    /// Any text.
    Plain,
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
    /// An address of the web.
    Url,
    /// A country code.
    Country,
    /// A language and region.
    Locale,
    /// The id of a record: connector and record.
    Id(String, String),
    /// A secret.
    Secret,
}

/// A record type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordType {
    /// The connector that declares it.
    pub connector: String,
    /// Its name; empty for a record without one.
    pub name: String,
    /// The fields of a record without a name, of a literal or of an answer.
    pub fields: Vec<(String, Type)>,
}

impl Type {
    /// Returns `T?`, once.
    #[must_use]
    pub fn optional(self) -> Type {
        match self {
            Type::Optional(_) | Type::Unknown | Type::Json | Type::Nothing => self,
            other => Type::Optional(Box::new(other)),
        }
    }

    /// Returns the type without its `?`.
    pub fn required(&self) -> &Type {
        match self {
            Type::Optional(inner) => inner,
            other => other,
        }
    }

    /// Tells whether a value of the type can be missing.
    pub fn can_be_missing(&self) -> bool {
        matches!(self, Type::Optional(_) | Type::Json)
    }

    /// Returns a plain text.
    pub fn text() -> Type {
        Type::Text(TextKind::Plain)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Unknown => f.write_str("unknown"),
            Type::Text(kind) => match kind {
                TextKind::Plain => f.write_str("text"),
                TextKind::Email => f.write_str("email"),
                TextKind::Phone => f.write_str("phone"),
                TextKind::Url => f.write_str("url"),
                TextKind::Country => f.write_str("country"),
                TextKind::Locale => f.write_str("locale"),
                TextKind::Id(connector, record) => write!(f, "id<{connector}.{record}>"),
                TextKind::Secret => f.write_str("secret"),
            },
            Type::Bool => f.write_str("bool"),
            Type::Int(None) => f.write_str("int"),
            Type::Int(Some((low, high))) => write!(f, "int {low}..{high}"),
            Type::Number => f.write_str("number"),
            Type::Money => f.write_str("money"),
            Type::Date => f.write_str("date"),
            Type::Time => f.write_str("time"),
            Type::DateTime => f.write_str("datetime"),
            Type::Duration => f.write_str("duration"),
            Type::Json => f.write_str("json"),
            Type::List(inner) => write!(f, "list<{inner}>"),
            Type::Map(inner) => write!(f, "map<{inner}>"),
            Type::Record(record) if record.name.is_empty() => {
                f.write_str("{ ")?;
                for (at, (name, ty)) in record.fields.iter().enumerate() {
                    write!(f, "{}{name}: {ty}", if at > 0 { ", " } else { "" })?;
                }
                f.write_str(" }")
            }
            Type::Record(record) => write!(f, "{}.{}", record.connector, record.name),
            Type::Enum { members, open } => {
                for (at, member) in members.iter().enumerate() {
                    write!(f, "{}\"{member}\"", if at > 0 { " | " } else { "" })?;
                }
                if *open { f.write_str(" | other") } else { Ok(()) }
            }
            Type::Optional(inner) => write!(f, "{inner}?"),
            Type::Nothing => f.write_str("nothing"),
        }
    }
}
