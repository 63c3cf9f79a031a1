//! Values in JSON: how they are judged, and how they are kept.

use std::cmp::Ordering;

use serde_json::Value as Json;
use tidegate_runbook::{JsonOperand, JsonOperator};

use crate::values::{Value, ValueMissing, Values};
use crate::verdict::Verdict;

/// A JSON value as a later step gets it: scalars with their own type, all else as `jsonb`.
pub(crate) fn kept_value(json: &Json) -> Value {
    let (type_name, text) = match json {
        Json::Null => ("text", None),
        Json::Bool(value) => ("boolean", Some(value.to_string())),
        Json::Number(number) => ("numeric", Some(number.to_string())),
        Json::String(text) => ("text", Some(text.clone())),
        Json::Array(_) | Json::Object(_) => ("jsonb", Some(json.to_string())),
    };
    Value { type_name: type_name.to_owned(), text, secret: false }
}

/// Judges what was found at a pointer. Nothing there is a fail, whatever the operator.
pub(crate) fn judge_json(
    pointer: &str,
    operator: &JsonOperator,
    found: Option<&Json>,
    values: &Values,
) -> Verdict {
    let Some(found) = found else {
        return Verdict::Fail(format!("there is nothing at {pointer}"));
    };
    let wanted = match wanted(operator, values) {
        Ok(Some(wanted)) => wanted,
        Ok(None) => return Verdict::Pass,
        Err(missing) => return Verdict::Unknown(missing.to_string()),
    };
    match (compare(operator, found, &wanted), operator) {
        (Some(true), _) => Verdict::Pass,
        (None, _) => Verdict::Fail(format!("{pointer} is {found}, which cannot be ordered against {wanted}")),
        (_, JsonOperator::Equal(_)) => {
            Verdict::Fail(format!("{pointer} is {found} where {wanted} is expected"))
        }
        (_, JsonOperator::NotEqual(_)) => {
            Verdict::Fail(format!("{pointer} is {found} where something other than {wanted} is expected"))
        }
        _ => Verdict::Fail(format!("{pointer} is {found} where `{operator}` is expected")),
    }
}

/// What the operator compares with; `None` for `exists`.
///
/// # Errors
/// [`ValueMissing`] for a value that is not there, is NULL, or is secret.
pub(crate) fn wanted(operator: &JsonOperator, values: &Values) -> Result<Option<Json>, ValueMissing> {
    match operator {
        JsonOperator::Exists => Ok(None),
        JsonOperator::Equal(operand)
        | JsonOperator::NotEqual(operand)
        | JsonOperator::Less(operand)
        | JsonOperator::LessOrEqual(operand)
        | JsonOperator::Greater(operand)
        | JsonOperator::GreaterOrEqual(operand) => match operand {
            JsonOperand::Json(json) => Ok(Some(json.clone())),
            JsonOperand::Template(template) => {
                Ok(Some(Json::String(values.text(template, true, str::to_owned)?)))
            }
        },
    }
}

/// Whether the comparison holds; `None` where the two have no order.
pub(crate) fn compare(operator: &JsonOperator, found: &Json, wanted: &Json) -> Option<bool> {
    let equal = || order(found, wanted).map_or(found == wanted, Ordering::is_eq);
    match operator {
        JsonOperator::Exists => Some(true),
        JsonOperator::Equal(_) => Some(equal()),
        JsonOperator::NotEqual(_) => Some(!equal()),
        JsonOperator::Less(_) => order(found, wanted).map(Ordering::is_lt),
        JsonOperator::LessOrEqual(_) => order(found, wanted).map(Ordering::is_le),
        JsonOperator::Greater(_) => order(found, wanted).map(Ordering::is_gt),
        JsonOperator::GreaterOrEqual(_) => order(found, wanted).map(Ordering::is_ge),
    }
}

/// Numbers against numbers (or texts that are numbers), texts against texts.
fn order(found: &Json, wanted: &Json) -> Option<Ordering> {
    match (found, wanted) {
        (Json::Number(a), Json::Number(b)) => order_numbers(&a.to_string(), &b.to_string()),
        (Json::Number(a), Json::String(b)) => order_numbers(&a.to_string(), b),
        (Json::String(a), Json::String(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

/// Whole numbers exactly, all others as 64-bit floating point.
fn order_numbers(a: &str, b: &str) -> Option<Ordering> {
    if let (Ok(a), Ok(b)) = (a.parse::<i128>(), b.parse::<i128>()) {
        return Some(a.cmp(&b));
    }
    a.parse::<f64>().ok()?.partial_cmp(&b.parse::<f64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_compares_numbers_as_numbers() {
        let values = Values::default();
        let nine = Json::from(9);
        let ten = JsonOperator::Less(JsonOperand::Json(Json::from(10)));
        assert_eq!(judge_json("/n", &ten, Some(&nine), &values), Verdict::Pass);
        let text = JsonOperator::Less(JsonOperand::Json(Json::from("10")));
        assert!(judge_json("/n", &text, Some(&Json::from("9")), &values) != Verdict::Pass);
        assert!(matches!(judge_json("/n", &ten, Some(&Json::Null), &values), Verdict::Fail(_)));
        assert!(matches!(judge_json("/n", &ten, None, &values), Verdict::Fail(_)));
    }

    #[test]
    fn what_is_equal_is_not_unequal() {
        for (found, wanted, equal) in
            [("1", "1.0", true), ("\"a\"", "\"a\"", true), ("null", "false", false), ("[1]", "[1]", true)]
        {
            let json = |text: &str| serde_json::from_str::<Json>(text).unwrap();
            let operand = || JsonOperand::Json(json(wanted));
            let (found, wanted) = (json(found), json(wanted));
            assert_eq!(compare(&JsonOperator::Equal(operand()), &found, &wanted), Some(equal));
            assert_eq!(compare(&JsonOperator::NotEqual(operand()), &found, &wanted), Some(!equal));
        }
    }
}
