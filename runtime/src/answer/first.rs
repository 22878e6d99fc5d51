//! The first item of a list that a condition holds for.
//!
//! Whoever asks acts on "there is none", and may do a second time what is done. So an item that cannot be compared is no item that
//! the condition does not hold for: the answer does not fit.

use std::mem::discriminant;

use flow_plan::{Expr, FieldShape, JsonPath, Segment, Shape, Value};

use super::AnswerScope;
use crate::decode::{Misfit, expected, kind};
use crate::eval::{Required, eval, holds, path_get};

/// Returns the first item that the condition holds for; missing where it holds for none.
///
/// # Errors
/// Where that cannot be told, of an item up to that one.
pub(super) fn that_holds<'a>(
    condition: &Expr,
    items: &'a [Value],
    shape: Option<&Shape>,
    scope: impl Fn(&'a Value) -> AnswerScope<'a>,
) -> Result<Value, String> {
    for (at, item) in items.iter().enumerate() {
        let look = Look { item, shape, scope: scope(item) };
        match look.is_such().and_then(|()| look.holds(condition)) {
            Ok(true) => return Ok(item.clone()),
            Ok(false) => {}
            Err(Untold::Misfit(misfit)) => return Err(misfit.within(&format!("[{at}]")).to_string()),
            Err(Untold::Required(required)) => return Err(required.to_string()),
        }
    }
    Ok(Value::Missing)
}

/// Why it cannot be told whether a condition holds.
enum Untold {
    Misfit(Misfit),
    Required(Required),
}

impl From<Required> for Untold {
    fn from(required: Required) -> Self {
        Self::Required(required)
    }
}

/// A look at one item.
struct Look<'a> {
    item: &'a Value,
    shape: Option<&'a Shape>,
    scope: AnswerScope<'a>,
}

impl Look<'_> {
    /// What is nothing, or no record where one is wanted, is no item.
    fn is_such(&self) -> Result<(), Untold> {
        let wants_record = matches!(self.shape, Some(Shape::Record(_)));
        if !self.item.is_missing() && (!wants_record || matches!(self.item, Value::Record(_))) {
            return Ok(());
        }
        Err(Untold::Misfit(Misfit::new(self.shape.map_or("a value", expected), kind(self.item))))
    }

    fn holds(&self, condition: &Expr) -> Result<bool, Untold> {
        match condition {
            Expr::And(parts) => {
                for part in parts {
                    if !self.holds(part)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Expr::Or(parts) => {
                for part in parts {
                    if self.holds(part)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Expr::Not(inner) => Ok(!self.holds(inner)?),
            test => {
                self.can_be_told(test)?;
                Ok(holds(test, &self.scope)?)
            }
        }
    }

    /// Whether what the item has can be compared with what it is compared with.
    fn can_be_told(&self, test: &Expr) -> Result<(), Untold> {
        let mut found = Ok(());
        test.walk(&mut |part| {
            if let (Expr::Answer(path), Ok(())) = (part, &found) {
                found = self.leads_somewhere(path);
            }
        });
        found.map_err(Untold::Misfit)?;
        match test {
            Expr::Equal(left, right) | Expr::Compare(_, left, right) => {
                self.is_of(left, &self.values([&**right])?)?;
                self.is_of(right, &self.values([&**left])?)
            }
            Expr::OneOf(value, choices) => self.is_of(value, &self.values(choices)?),
            Expr::InRange(value, low, high) => self.is_of(value, &self.values([&**low, &**high])?),
            Expr::InList(value, list) => {
                self.is_of(list, &[Value::List(Vec::new().into())])?;
                match eval(list, &self.scope)? {
                    Value::List(items) => self.is_of(value, &items),
                    _ => Ok(()),
                }
            }
            Expr::Contains(whole, part) => match eval(whole, &self.scope)? {
                Value::List(items) => self.is_of(part, &items),
                _ => {
                    self.is_of(whole, &[Value::text("")])?;
                    self.is_of(part, &[Value::text("")])
                }
            },
            Expr::StartsWith(text, part) | Expr::EndsWith(text, part) => {
                self.is_of(text, &[Value::text("")])?;
                self.is_of(part, &[Value::text("")])
            }
            Expr::Matches(text, _) => self.is_of(text, &[Value::text("")]),
            _ => Ok(()),
        }
    }

    fn values<'e>(&self, exprs: impl IntoIterator<Item = &'e Expr>) -> Result<Vec<Value>, Untold> {
        exprs.into_iter().map(|expr| Ok(eval(expr, &self.scope)?)).collect()
    }

    /// Whether a place of the item is of the type of one of these, or nothing. Where all of these are nothing, none is asked for.
    fn is_of(&self, place: &Expr, others: &[Value]) -> Result<(), Untold> {
        let mut others = others.iter().filter(|other| !other.is_missing()).peekable();
        let Some(other) = others.peek().copied() else { return Ok(()) };
        let misfit = |path: &JsonPath, found: &Value| {
            let misfit = Misfit::new(kind(other), kind(found));
            Err(Untold::Misfit(if path.is_root() { misfit } else { misfit.within(&path.to_string()) }))
        };
        match place {
            Expr::Answer(path) => {
                let found = path_get(self.item, path);
                if found.is_missing() || others.any(|other| discriminant(other) == discriminant(&found)) {
                    return Ok(());
                }
                misfit(path, &found)
            }
            // What a function makes of a text is nothing where there is a number.
            Expr::Call(_, args) if matches!(other, Value::Text(_)) && eval(place, &self.scope)?.is_missing() => {
                let is_other = |arg: &Expr| match arg {
                    Expr::Answer(path) => Some((path.clone(), path_get(self.item, path))),
                    _ => None,
                };
                match args.iter().filter_map(is_other).find(|(_, at)| matches!(at, Value::Number(_) | Value::Bool(_))) {
                    Some((path, found)) => misfit(&path, &found),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// Whether there is something on the way to a place that can have it, and something there, where the record requires that.
    fn leads_somewhere(&self, path: &JsonPath) -> Result<(), Misfit> {
        let mut at = self.item.clone();
        let mut way = JsonPath::default();
        for segment in &path.0 {
            let wanted = match (segment, &at) {
                (Segment::Key(_), Value::Record(_)) | (Segment::Index(_), Value::List(_)) => None,
                (_, Value::Missing) => None,
                // So some write a record without fields.
                (Segment::Key(_), Value::List(items)) if items.is_empty() && !way.is_root() => None,
                (Segment::Key(_), _) => Some("a record"),
                (Segment::Index(_), _) => Some("a list"),
            };
            if let Some(wanted) = wanted {
                let misfit = Misfit::new(wanted, kind(&at));
                return Err(if way.is_root() { misfit } else { misfit.within(&way.to_string()) });
            }
            at = path_get(&at, &JsonPath(vec![segment.clone()]));
            way.0.push(segment.clone());
        }
        let required = self.field_at(path).filter(|field| at.is_missing() && !field.optional && field.default.is_none());
        match required {
            Some(field) => Err(Misfit::new(expected(&field.shape), "nothing").within(&path.to_string())),
            None => Ok(()),
        }
    }

    /// The field of the record that stands at this place and nowhere else.
    fn field_at(&self, path: &JsonPath) -> Option<&FieldShape> {
        let Some(Shape::Record(fields)) = self.shape else { return None };
        fields.iter().find(|field| match field.from.as_slice() {
            [source] => source.path == *path && source.when.is_none() && !source.of_event,
            _ => false,
        })
    }
}
