use super::stage::{Task, work};
use super::*;

#[test]
fn sizes_are_read_with_their_units() {
    for (text, bytes) in
        [("5", 5), ("7b", 7), ("3KB", 3000), ("2 MiB", 2 << 20), ("1GiB", 1 << 30), ("1gb", 1_000_000_000)]
    {
        assert_eq!(text.parse(), Ok(Size(bytes)));
    }
    for wrong in ["", "GiB", "1 TiB", "-1", "99999999999999999999", "99999999999GiB"] {
        assert!(wrong.parse::<Size>().is_err(), "{wrong}");
    }
}

#[test]
fn only_plain_formats_are_measured() {
    assert_eq!(layout("jsonl").unwrap(), Layout::Jsonl);
    for wrong in ["csv.gz", "xml", ""] {
        assert!(layout(wrong).is_err(), "{wrong}");
    }
}

/// A case in a folder, with a small file.
fn case(folder: &tempfile::TempDir, variant: &str, layout: Layout) -> Case {
    let options = Options {
        limit: None,
        kills: 0,
        variants: Vec::new(),
        formats: Vec::new(),
        bytes: Size(300_000),
        chunk_size: 100,
        record_bytes: None,
        seed: 5,
        work_dir: folder.path().to_owned(),
    };
    let case = Case::new(&options, Variant::named(variant).unwrap(), layout);
    // A variant with a file per record is slow even with few records.
    let record_bytes = case.shape.record_bytes.min(1000);
    Case { shape: Shape { record_bytes, ..case.shape }, ..case }
}

async fn told(case: &Case, role: Role, message: u64) -> ChildReport {
    let (root, variant, key) = (case.root.clone(), case.variant.name.to_owned(), case.key.clone());
    work(&Task { role, root, variant, chunk_size: case.chunk_size, key, message, limit: None, invocation: 1 })
        .await
        .unwrap()
}

async fn goes_through(variant: &str, layout: Layout) {
    let folder = tempfile::tempdir().unwrap();
    let case = case(&folder, variant, layout);
    let (file, made) = case.input().unwrap();
    let batch = stage::submit(&case.root, &case.key, &file).unwrap();
    let scattered = told(&case, Role::Scatter, 0).await;
    assert!(scattered.messages > 2 && scattered.messages <= made.records, "{scattered:?}");
    assert_eq!(told(&case, Role::Idle, 0).await.items, 0);
    let single = told(&case, Role::Process, scattered.messages / 2).await;
    assert!(single.items > 0 && single.chunk_bytes > 500, "{single:?}");
    let all = told(&case, Role::ProcessAll, 0).await;
    told(&case, Role::Gather, 0).await;
    let summary = stage::summary(&case.root, &batch).await.unwrap();
    check(&summary, &batch, made, single.items + all.items).unwrap();
    assert!(check(&summary, &batch, made, all.items).is_err());
}

#[tokio::test]
async fn every_variant_goes_through_its_stages_on_files() {
    for variant in ["sync", "async", "chunked", "dynamodb"] {
        for layout in [Layout::Csv, Layout::Json, Layout::Jsonl] {
            goes_through(variant, layout).await;
        }
    }
}

#[tokio::test]
async fn a_stage_before_its_turn_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let case = case(&folder, "chunked", Layout::Csv);
    for role in [Role::Scatter, Role::Process, Role::Gather] {
        let (root, variant, key) = (case.root.clone(), case.variant.name.to_owned(), case.key.clone());
        let task = Task { role, root, variant, chunk_size: 10, key, message: 0, limit: None, invocation: 1 };
        assert!(work(&task).await.unwrap_err().to_string().contains("there is no"), "{role}");
    }
}
