//! What is counted of the records that succeed: how many there are in each group, and sums, least and greatest of their
//! numbers.

use serde_json::{Map, Value};

use crate::model::fold::{Contribution, Exact, Group, MAX_DIGITS, MAX_GROUP_BYTES, Numbers, Totals};
use crate::model::item::like;
use crate::model::schema::number;

/// What is counted. The count of records always is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AggregateSettings {
    /// The fields whose values make a record's group, in this order; at least one.
    pub group_by: Vec<String>,
    /// The fields of which the sum is kept.
    pub sum: Vec<String>,
    /// The fields of which the least number is kept.
    pub min: Vec<String>,
    /// The fields of which the greatest number is kept.
    pub max: Vec<String>,
}

impl AggregateSettings {
    /// Reads the settings: an object of lists of names of fields. A name such as `a.b` is of the field `b` in the object
    /// `a`, unless the record has a field of the whole name.
    ///
    /// # Errors
    /// Every problem, in words.
    pub fn parse(settings: &Value) -> Result<Self, Vec<String>> {
        let Value::Object(given) = settings else {
            return Err(vec![
                "aggregate must be an object such as {\"group_by\":[\"client\",\"day\"],\"sum\":[\"quantity\"]}"
                    .to_owned(),
            ]);
        };
        let (mut aggregate, mut problems) = (Self::default(), Vec::new());
        for (name, value) in given {
            let list = match name.as_str() {
                "group_by" => &mut aggregate.group_by,
                "sum" => &mut aggregate.sum,
                "min" => &mut aggregate.min,
                "max" => &mut aggregate.max,
                _ => {
                    problems.push(format!("aggregate: {name:?} is no setting; there is group_by, sum, min, max"));
                    continue;
                }
            };
            match fields(value) {
                Some(fields) => *list = fields,
                None => problems.push(format!("aggregate: {name} must be a list of names of fields, each given once")),
            }
        }
        if given.get("group_by").is_none_or(|given| given.as_array().is_some_and(Vec::is_empty)) {
            problems.push("aggregate: group_by must name at least one field".to_owned());
        }
        if problems.is_empty() { Ok(aggregate) } else { Err(problems) }
    }

    /// What a record adds to the counters of its group.
    ///
    /// A group is of texts; a number is its plain notation, so that `1` and `1.0` are one group, and a boolean is `true` or
    /// `false`. A record without a value to group by has no group and fails, rather than being counted where nobody looks.
    /// A field that is summed or compared may be absent or null, and then adds nothing, as in SQL.
    ///
    /// # Errors
    /// Why it cannot be counted, in words for its outcome.
    pub fn contribution(&self, fields: &Map<String, Value>) -> Result<Contribution, String> {
        let mut problems = Vec::new();
        let values = self.group_by.iter().filter_map(|field| noted(value_of(fields, field), &mut problems)).collect();
        let mut numbers = |of: &[String]| -> Numbers {
            let found = of.iter().filter_map(|field| {
                let number = noted(number_of(fields, field), &mut problems)??;
                Some((field.clone(), number))
            });
            found.collect()
        };
        let (sums, mins, maxs) = (numbers(&self.sum), numbers(&self.min), numbers(&self.max));
        let group = Group::new(values);
        if group.is_none() {
            problems.push(format!("the values that counters are grouped by are longer than {MAX_GROUP_BYTES} bytes"));
        }
        match group {
            Some(group) if problems.is_empty() => {
                Ok(Contribution { group, totals: Totals { count: 1, sums, mins, maxs } })
            }
            _ => Err(problems.join("; ")),
        }
    }
}

/// Notes a problem once: a field may be in several lists.
fn noted<T>(result: Result<T, String>, problems: &mut Vec<String>) -> Option<T> {
    result.map_err(|problem| (!problems.contains(&problem)).then(|| problems.push(problem))).ok()
}

/// The names of fields in a list; `None` if it is none.
fn fields(list: &Value) -> Option<Vec<String>> {
    let mut fields: Vec<String> = Vec::new();
    for name in list.as_array()? {
        let name = name.as_str().filter(|name| !name.split('.').any(str::is_empty))?;
        if fields.iter().any(|known| known == name) {
            return None;
        }
        fields.push(name.to_owned());
    }
    Some(fields)
}

/// The value of a field, which may lie in objects. A field that has the whole name goes first.
fn find<'a>(fields: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    fields.get(path).or_else(|| {
        path.match_indices('.').find_map(|(dot, _)| match fields.get(&path[..dot]) {
            Some(Value::Object(inner)) => find(inner, &path[dot + 1..]),
            _ => None,
        })
    })
}

/// The value that a record is grouped by.
fn value_of(fields: &Map<String, Value>, field: &str) -> Result<String, String> {
    match find(fields, field) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Number(number)) => {
            Exact::parse(number.as_str()).map(|number| number.to_string()).ok_or_else(|| beyond(field))
        }
        Some(Value::Bool(value)) => Ok(value.to_string()),
        Some(Value::Array(_) | Value::Object(_)) => {
            Err(format!("{field}: counters can be grouped by texts, numbers and booleans only"))
        }
        None | Some(Value::Null) => {
            let like = like(fields, field).filter(|_| !fields.contains_key(field));
            let like = like.map(|name| format!("; it has {name:?}")).unwrap_or_default();
            Err(format!("the record has no value in the field {field:?}, which its counters are grouped by{like}"))
        }
    }
}

/// The number in a field; `None` if there is nothing in it.
fn number_of(fields: &Map<String, Value>, field: &str) -> Result<Option<Exact>, String> {
    let found = match find(fields, field) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => Some(number.clone()),
        Some(Value::String(text)) => number(text),
        Some(_) => None,
    };
    let found = found.ok_or_else(|| format!("{field}: the value is not a number, which its counters need"))?;
    Exact::parse(found.as_str()).map(Some).ok_or_else(|| beyond(field))
}

fn beyond(field: &str) -> String {
    format!(
        "{field}: counters hold numbers below 1e126 and not closer to zero than 1e-130, of {MAX_DIGITS} digits at most"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn settings(settings: Value) -> AggregateSettings {
        AggregateSettings::parse(&settings).unwrap()
    }

    fn contribution(settings: &AggregateSettings, record: &str) -> Result<Contribution, String> {
        settings.contribution(serde_json::from_str::<Value>(record).unwrap().as_object().unwrap())
    }

    fn group(by: &str, record: &str) -> Result<Vec<String>, String> {
        contribution(&settings(json!({"group_by": [by]})), record).map(|found| found.group.values().to_vec())
    }

    #[test]
    fn all_problems_are_told_together() {
        let wrong = json!({"group_by": ["a", "a"], "sum": "a", "min": ["a..b"], "max": [7], "median": ["a"]});
        let problems = AggregateSettings::parse(&wrong).unwrap_err();
        assert_eq!(problems.len(), 5, "{problems:?}");
        assert_eq!(AggregateSettings::parse(&json!({"sum": ["a"]})).unwrap_err().len(), 1);
        assert!(AggregateSettings::parse(&Value::Null).unwrap_err()[0].contains("such as"));
    }

    #[test]
    fn a_group_is_of_texts_and_one_number_is_one_group() {
        for (record, value) in [
            (r#"{"a":"x"}"#, "x"),
            (r#"{"a":""}"#, ""),
            (r#"{"a":"株式会社"}"#, "株式会社"),
            (r#"{"a":1.0}"#, "1"),
            (r#"{"a":10e-1}"#, "1"),
            (r#"{"a":"1.0"}"#, "1.0"),
            (r#"{"a":true}"#, "true"),
        ] {
            assert_eq!(group("a", record).unwrap(), [value], "{record}");
        }
        for (record, told) in [
            (r#"{"b":1}"#, "no value in the field \"a\""),
            (r#"{"a":null}"#, "no value in the field \"a\""),
            (r#"{"A":1}"#, "; it has \"A\""),
            (r#"{"a":[1]}"#, "texts, numbers and booleans only"),
            (r#"{"a":1e999999}"#, "below 1e126"),
        ] {
            assert!(group("a", record).unwrap_err().contains(told), "{record}: {:?}", group("a", record));
        }
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(3000));
        assert!(group("a", &long).unwrap_err().contains("longer than 2048 bytes"));
    }

    #[test]
    fn a_field_is_found_in_objects_and_first_by_its_whole_name() {
        assert_eq!(group("a.b.c", r#"{"a":{"b":{"c":"in"}}}"#).unwrap(), ["in"]);
        assert_eq!(group("a.b.c", r#"{"a":{"b":{"c":"in"}},"a.b.c":"whole"}"#).unwrap(), ["whole"]);
        assert_eq!(group("a.b.c", r#"{"a.b":{"c":"in"}}"#).unwrap(), ["in"]);
        assert!(group("a.b", r#"{"a":7}"#).is_err());
    }

    #[test]
    fn what_is_absent_adds_nothing_and_what_is_no_number_fails() {
        let both = settings(json!({"group_by": ["g"], "sum": ["n", "m"], "max": ["n"]}));
        for (record, sum) in [
            (r#"{"g":"a","n":1.50}"#, Some("1.5")),
            (r#"{"g":"a","n":"1.50"}"#, Some("1.5")),
            (r#"{"g":"a","n":"+007"}"#, Some("7")),
            (r#"{"g":"a","n":null}"#, None),
            (r#"{"g":"a"}"#, None),
        ] {
            let found = contribution(&both, record).unwrap().totals;
            assert_eq!(found.sums.get("n").map(ToString::to_string).as_deref(), sum, "{record}");
            assert_eq!((found.count, found.maxs.len()), (1, usize::from(sum.is_some())));
        }
        for wrong in ["\"\"", "\"1,5\"", "\" 1\"", "true", "[1]", "\"NaN\""] {
            let told = contribution(&both, &format!(r#"{{"g":"a","n":{wrong}}}"#)).unwrap_err();
            assert_eq!(told, "n: the value is not a number, which its counters need", "{wrong}");
        }
        let told = contribution(&both, r#"{"n":1e999999,"m":{}}"#).unwrap_err();
        assert_eq!(told.split("; ").count(), 3, "{told}");
    }
}
