//! The value of a setting as somebody types it.

use std::sync::Arc;

use flow_plan::ty::Type;
use flow_plan::{Value, parse_decimal};

use super::check::fits;

/// Returns the value that a text means for a setting of this type; `None` where it means none.
pub fn parse_setting(ty: &Type, text: &str) -> Option<Value> {
    let text = text.trim();
    let value = match ty.required() {
        Type::Bool => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "y" => Value::Bool(true),
            "false" | "no" | "n" => Value::Bool(false),
            _ => return None,
        },
        Type::Number | Type::Int(_) => {
            let number = parse_decimal(text)?;
            let whole = matches!(ty.required(), Type::Int(_));
            if whole && !number.fract().is_zero() {
                return None;
            }
            Value::Number(number)
        }
        Type::List(inner) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::List(Arc::new(items.map(|item| parse_setting(inner, item)).collect::<Option<Vec<_>>>()?))
        }
        _ => Value::text(text),
    };
    (fits(ty, &value) && !text.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_of_the_type_or_nothing() {
        let members = vec!["eu".to_owned(), "us".to_owned()];
        let region = Type::Enum { members, open: false };
        let list = Type::List(Box::new(Type::text()));
        let text = |text: &str| Some(Value::text(text));
        assert_eq!(parse_setting(&Type::text(), " acme "), text("acme"));
        assert_eq!(parse_setting(&Type::text(), " "), None);
        assert_eq!((parse_setting(&region, "eu"), parse_setting(&region, "asia")), (text("eu"), None));
        assert_eq!(parse_setting(&Type::Bool, "Yes"), Some(Value::Bool(true)));
        assert_eq!(parse_setting(&Type::Int(Some((1.into(), 9.into()))), "12"), None);
        assert_eq!(parse_setting(&Type::Int(None), "1.5"), None);
        assert_eq!(parse_setting(&Type::Int(None), "1000"), Some(Value::Number(1000.into())));
        assert_eq!(parse_setting(&Type::Duration, "30 seconds"), text("30 seconds"));
        assert_eq!(parse_setting(&Type::Duration, "soon"), None);
        let both = Value::List(Arc::new(vec![Value::text("a"), Value::text("b")]));
        assert_eq!(parse_setting(&list, "a, b,"), Some(both));
    }
}
