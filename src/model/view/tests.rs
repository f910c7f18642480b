//! The published schema of the document.

use std::path::Path;

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::{BatchView, VERSION};

const PUBLISHED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/status.schema.json");
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/crates/api/tests/page/golden");

/// The schema of what is written, from the types.
fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut schema = generator.into_root_schema_for::<BatchView>().to_value();
    schema["properties"]["version"]["const"] = VERSION.into();
    schema
}

/// After a change of the document: `FANFOLD_UPDATE=1 make check` writes its schema anew.
#[test]
fn the_published_schema_is_that_of_the_types() {
    let made = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    if std::env::var_os("FANFOLD_UPDATE").is_some() {
        std::fs::write(PUBLISHED, &made).unwrap();
    }
    let published = std::fs::read_to_string(PUBLISHED).unwrap_or_default();
    assert!(published == made, "docs/status.schema.json is not that of the types, which is:\n{made}");
}

/// Documents by which the page is tested, in each of the states that it knows.
fn golden() -> Vec<(String, Value)> {
    let mut documents = Vec::new();
    for entry in Path::new(GOLDEN).read_dir().unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if !name.starts_with("list-") {
            documents.push((name, serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()));
        }
    }
    assert!(documents.len() >= 9, "{} documents", documents.len());
    documents
}

#[test]
fn the_documents_that_the_page_is_tested_with_keep_the_schema() {
    let validator = jsonschema::options().should_validate_formats(true).build(&schema()).unwrap();
    for (name, document) in golden() {
        let problems: Vec<String> =
            validator.iter_errors(&document).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(problems.is_empty(), "{name}: {problems:#?}");
        let view: BatchView = serde_json::from_value(document).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(validator.is_valid(&serde_json::to_value(&view).unwrap()), "{name}");
    }
}

#[test]
fn the_schema_refuses_what_is_no_such_document() {
    let validator = jsonschema::options().should_validate_formats(true).build(&schema()).unwrap();
    let (_, good) = golden().into_iter().find(|(name, _)| name == "stalled").unwrap();
    for (pointer, wrong) in [
        ("/version", Value::from(2)),
        ("/asOf", "yesterday".into()),
        ("/state", "RUNNING".into()),
        ("/records/succeeded", Value::from(-1)),
        ("/standstill/kind", "ASLEEP".into()),
        ("/failures", Value::Null),
    ] {
        let mut document = good.clone();
        *document.pointer_mut(pointer).unwrap() = wrong;
        assert!(!validator.is_valid(&document), "{pointer}");
    }
}
