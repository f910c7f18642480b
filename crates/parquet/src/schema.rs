//! The shape of a record: how the columns of a file nest.

use std::collections::HashSet;
use std::ops::Range;

use parquet::basic::{ConvertedType, LogicalType, Repetition};
use parquet::schema::types::{SchemaDescriptor, Type};

use crate::error::Error;

/// A value of a record, or the record itself.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// The definition level from which on the value is there; below it, it is NULL (or something around it is).
    pub(crate) def: i16,
    /// The columns that it is made of.
    pub(crate) leaves: Range<usize>,
    /// What it is.
    pub(crate) shape: Shape,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    /// A value of a column.
    Leaf,
    /// An object: for each field its name as JSON with the colon, and its value.
    Struct(Vec<(String, Node)>),
    /// An array.
    List(Repeated, Box<Node>),
    /// An object whose names are the keys, which are text.
    Map(Repeated, Box<[Node; 2]>),
}

/// The levels of elements.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Repeated {
    /// The definition level from which on there is an element.
    pub(crate) def: i16,
    /// The repetition level of every element but the first.
    pub(crate) rep: i16,
}

/// Where the walk through the schema is.
#[derive(Clone, Copy)]
struct Levels {
    def: i16,
    rep: i16,
}

/// Makes the shape of a file's records.
///
/// # Errors
/// `DuplicateColumn`.
pub(crate) fn record(schema: &SchemaDescriptor) -> Result<Node, Error> {
    let mut leaf = 0;
    let fields = fields(schema.root_schema(), Levels { def: 0, rep: 0 }, &mut leaf)?;
    Ok(Node { def: 0, leaves: 0..leaf, shape: Shape::Struct(fields) })
}

fn fields(group: &Type, levels: Levels, leaf: &mut usize) -> Result<Vec<(String, Node)>, Error> {
    let mut names = HashSet::new();
    let mut made = Vec::new();
    for field in group.get_fields() {
        if !names.insert(field.name()) {
            return Err(Error::DuplicateColumn(field.name().to_owned()));
        }
        let name = serde_json::Value::from(field.name()).to_string() + ":";
        made.push((name, node(field, levels, leaf)?));
    }
    Ok(made)
}

fn repetition(field: &Type) -> Repetition {
    let info = field.get_basic_info();
    if info.has_repetition() { info.repetition() } else { Repetition::REQUIRED }
}

fn node(field: &Type, mut levels: Levels, leaf: &mut usize) -> Result<Node, Error> {
    match repetition(field) {
        Repetition::REQUIRED => {}
        Repetition::OPTIONAL => levels.def += 1,
        // Without LIST or MAP around it, as protocol buffers are written: a list that is never NULL.
        Repetition::REPEATED => {
            let inner = Levels { def: levels.def + 1, rep: levels.rep + 1 };
            return list(levels, inner, leaf, |leaf| value(field, inner, leaf));
        }
    }
    value(field, levels, leaf)
}

fn list(
    outer: Levels,
    inner: Levels,
    leaf: &mut usize,
    element: impl FnOnce(&mut usize) -> Result<Node, Error>,
) -> Result<Node, Error> {
    let element = element(leaf)?;
    let leaves = element.leaves.clone();
    Ok(Node { def: outer.def, leaves, shape: Shape::List(inner.into(), Box::new(element)) })
}

impl From<Levels> for Repeated {
    fn from(Levels { def, rep }: Levels) -> Self {
        Self { def, rep }
    }
}

/// A value whose own repetition is in `levels` already.
fn value(field: &Type, levels: Levels, leaf: &mut usize) -> Result<Node, Error> {
    if field.is_primitive() {
        *leaf += 1;
        return Ok(Node { def: levels.def, leaves: *leaf - 1..*leaf, shape: Shape::Leaf });
    }
    let inner = Levels { def: levels.def + 1, rep: levels.rep + 1 };
    if let [repeated] = field.get_fields()
        && repetition(repeated) == Repetition::REPEATED
    {
        if is_list(field) {
            return list(levels, inner, leaf, |leaf| match element_of(field, repeated) {
                Some(element) => node(element, inner, leaf),
                None => value(repeated, inner, leaf),
            });
        }
        if is_map(field)
            && repeated.is_group()
            && let [key, of_key] = repeated.get_fields()
            && is_key(key)
        {
            let both = [node(key, inner, leaf)?, node(of_key, inner, leaf)?];
            let leaves = both[0].leaves.start..both[1].leaves.end;
            return Ok(Node { def: levels.def, leaves, shape: Shape::Map(inner.into(), Box::new(both)) });
        }
        if is_map(field) {
            return list(levels, inner, leaf, |leaf| value(repeated, inner, leaf));
        }
    }
    let start = *leaf;
    let fields = fields(field, levels, leaf)?;
    Ok(Node { def: levels.def, leaves: start..*leaf, shape: Shape::Struct(fields) })
}

fn is_list(group: &Type) -> bool {
    let info = group.get_basic_info();
    info.converted_type() == ConvertedType::LIST || matches!(info.logical_type_ref(), Some(LogicalType::List))
}

fn is_map(group: &Type) -> bool {
    let info = group.get_basic_info();
    matches!(info.converted_type(), ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE)
        || matches!(info.logical_type_ref(), Some(LogicalType::Map))
}

/// Whether the keys of a map can be the names of an object.
fn is_key(key: &Type) -> bool {
    let info = key.get_basic_info();
    let text = matches!(info.converted_type(), ConvertedType::UTF8 | ConvertedType::ENUM)
        || matches!(info.logical_type_ref(), Some(LogicalType::String | LogicalType::Enum));
    key.is_primitive() && text && repetition(key) == Repetition::REQUIRED
}

/// The element of a list of three levels; `None` if the repeated field is itself the element, as older writers have
/// it. The rules are Parquet's:
/// <https://github.com/apache/parquet-format/blob/master/LogicalTypes.md#backward-compatibility-rules>.
fn element_of<'a>(list: &Type, repeated: &'a Type) -> Option<&'a Type> {
    if repeated.is_primitive() || is_list(repeated) || is_map(repeated) {
        return None;
    }
    let [element] = repeated.get_fields() else { return None };
    let tuple = repeated.name().strip_suffix("_tuple") == Some(list.name());
    let legacy = repeated.name() == "array" || tuple || repetition(element) == Repetition::REPEATED;
    (!legacy).then_some(&**element)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parquet::schema::parser::parse_message_type;

    use super::*;

    fn shape(text: &str) -> String {
        fn draw(node: &Node, out: &mut String) {
            match &node.shape {
                Shape::Leaf => *out += &format!("{}", node.def),
                Shape::Struct(fields) => {
                    *out += "{";
                    for (name, field) in fields {
                        *out += name;
                        draw(field, out);
                        *out += " ";
                    }
                    *out += "}";
                }
                Shape::List(levels, element) => {
                    *out += &format!("[{}/{} ", levels.def, levels.rep);
                    draw(element, out);
                    *out += "]";
                }
                Shape::Map(levels, both) => {
                    *out += &format!("<{}/{} ", levels.def, levels.rep);
                    draw(&both[1], out);
                    *out += ">";
                }
            }
        }
        let schema = parse_message_type(&format!("message m {{ {text} }}")).unwrap();
        let mut out = String::new();
        draw(&record(&SchemaDescriptor::new(Arc::new(schema))).unwrap(), &mut out);
        out
    }

    #[test]
    fn lists_of_three_levels_and_of_two() {
        let three = "optional group l (LIST) { repeated group list { optional int32 element; } }";
        assert_eq!(shape(three), r#"{"l":[2/1 3] }"#);
        let primitive = "optional group l (LIST) { repeated int32 element; }";
        assert_eq!(shape(primitive), r#"{"l":[2/1 2] }"#);
        let array = "optional group l (LIST) { repeated group array { required int32 x; } }";
        assert_eq!(shape(array), r#"{"l":[2/1 {"x":2 }] }"#);
        let tuple = "optional group l (LIST) { repeated group l_tuple { required int32 x; } }";
        assert_eq!(shape(tuple), r#"{"l":[2/1 {"x":2 }] }"#);
        let pair = "optional group l (LIST) { repeated group e { required int32 x; optional int32 y; } }";
        assert_eq!(shape(pair), r#"{"l":[2/1 {"x":2 "y":3 }] }"#);
        let nested = "optional group l (LIST) { repeated group array (LIST) { repeated int32 array; } }";
        assert_eq!(shape(nested), r#"{"l":[2/1 [3/2 3]] }"#);
        assert_eq!(shape("repeated group p { repeated int32 q; }"), r#"{"p":[1/1 {"q":[2/2 2] }] }"#);
    }

    #[test]
    fn maps_with_keys_of_text_and_others() {
        let map = |key: &str| {
            format!("optional group m (MAP) {{ repeated group key_value {{ required {key}; optional int32 value; }} }}")
        };
        assert_eq!(shape(&map("binary key (STRING)")), r#"{"m":<2/1 3> }"#);
        assert_eq!(shape(&map("int32 key")), r#"{"m":[2/1 {"key":2 "value":3 }] }"#);
    }

    #[test]
    fn two_columns_of_one_name_are_refused() {
        let schema = parse_message_type("message m { required int32 a; required int32 a; }").unwrap();
        let error = record(&SchemaDescriptor::new(Arc::new(schema))).unwrap_err();
        assert_eq!(error, Error::DuplicateColumn("a".into()));
    }
}
