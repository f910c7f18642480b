//! `fanfold submit` against an S3 that answers as a test wants it to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// A request: its method and path, and its body.
type Request = (String, String);

/// An S3 that tells its requests, and that answers uploads with a version, unless it is mute.
struct S3 {
    requests: Receiver<Request>,
    folder: tempfile::TempDir,
}

impl S3 {
    /// Starts it with a deployment that names it, whose pipeline has these parameters.
    fn start(mute: bool, parameters: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let deployment = format!(
            r#"{{"endpoint":"http://{}/","pipelines":{{"chunked":{{"input_bucket":"in","work_bucket":"w",
            "output_bucket":"o","items_table":"t","ledger_table":"l","queues":{{}},"dead_letter_queues":{{}},
            "parameters":{parameters}}}}}}}"#,
            listener.local_addr().unwrap()
        );
        std::fs::write(folder.path().join("deployment.json"), deployment).unwrap();
        let (tell, requests) = channel();
        thread::spawn(move || {
            for connection in listener.incoming() {
                let tell = tell.clone();
                thread::spawn(move || serve(&connection.unwrap(), &tell, mute));
            }
        });
        Self { requests, folder }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fanfold"));
        command.current_dir(self.folder.path()).args(arguments).args(["--deployment", "deployment.json"]);
        command.env("NO_PROXY", "127.0.0.1").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn file(&self, name: &str, bytes: usize) {
        std::fs::write(self.folder.path().join(name), vec![b'x'; bytes]).unwrap();
    }
}

fn serve(connection: &TcpStream, tell: &Sender<Request>, mute: bool) -> Option<()> {
    let mut from = BufReader::new(connection);
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            // The check whether anything answers sends nothing.
            if from.read_until(b'\n', &mut head).ok()? == 0 {
                return None;
            }
        }
        let head = String::from_utf8(head).unwrap();
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or_default()];
        if mute {
            body.clear();
        }
        from.read_exact(&mut body).ok()?;
        let line = head.split(" HTTP").next().unwrap().to_owned();
        tell.send((line.clone(), String::from_utf8_lossy(&body).into_owned())).ok()?;
        if mute {
            thread::sleep(PATIENCE);
        }
        if line.starts_with("GET /in/?list-type=2") || line.starts_with("GET /in?list-type=2") {
            let page = listing(&line);
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{page}", page.len());
            (&*connection).write_all(answer.as_bytes()).ok()?;
            continue;
        }
        (&*connection).write_all(b"HTTP/1.1 200 OK\r\nx-amz-version-id: v1\r\ncontent-length: 0\r\n\r\n").ok()?;
    }
}

/// The objects below `day/`, in two pages, with what is no file of records among them.
fn listing(line: &str) -> String {
    let page: &[&str] = match line {
        line if !line.contains("prefix=day%2F") => &[],
        line if line.contains("start-after=day%2Fb") => &["day/c/d.csv", "day/c/x.manifest.csv"],
        line if line.contains("start-after") => &[],
        _ => &["day/", "day/_SUCCESS", "day/a &amp; b.csv", "day/b.csv"],
    };
    let object = |key: &&str| format!("<Contents><Key>{key}</Key><Size>1</Size><ETag>&quot;e1&quot;</ETag></Contents>");
    let objects: String = page.iter().map(object).collect();
    format!("<ListBucketResult><Name>in</Name>{objects}</ListBucketResult>")
}

/// Interrupts a command, and returns what it says.
fn interrupted(child: Child) -> String {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(130));
    String::from_utf8(done.stderr).unwrap()
}

#[test]
fn an_interrupt_says_that_nothing_is_processed_only_while_that_is_certain() {
    let s3 = S3::start(true, "{}");
    s3.file("small orders.csv", 10);
    s3.file("large.csv", 9 << 20);
    let child = s3.command(&["submit", "small orders.csv", "--output", "my out"]).spawn().unwrap();
    let (put, _) = s3.requests.recv_timeout(PATIENCE).unwrap();
    assert!(put.starts_with("PUT /in/small%20orders.csv"), "{put}");
    let said = interrupted(child);
    assert!(
        said.contains("while the upload ended")
            && said.contains("`fanfold status --key 'small orders.csv' --wait --output 'my out'` waits for it"),
        "{said}"
    );
    // Of an upload in parts, the first requests make no object.
    let child = s3.command(&["submit", "large.csv"]).spawn().unwrap();
    let (begin, _) = s3.requests.recv_timeout(PATIENCE).unwrap();
    assert!(begin.starts_with("POST /in/large.csv?uploads"), "{begin}");
    let said = interrupted(child);
    assert!(said.contains("interrupted before the upload had ended; nothing will be processed"), "{said}");
}

/// Feeds a command through its standard input, and returns its status and what it said.
fn fed(mut command: Command, rows: &str) -> (Option<i32>, String) {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    // One that refuses its usage reads nothing.
    let _ = child.stdin.take().unwrap().write_all(rows.as_bytes());
    let done = child.wait_with_output().unwrap();
    (done.status.code(), String::from_utf8(done.stderr).unwrap() + &String::from_utf8(done.stdout).unwrap())
}

#[test]
fn standard_input_and_pipes_are_files_like_others() {
    let s3 = S3::start(false, "{}");
    let rows: String = (0..1000).map(|n| format!("{n},1.5\n")).collect();
    for arguments in [["submit", "-", "--name", "in/orders.csv"], ["submit", "/dev/stdin", "--key", "in/orders.csv"]] {
        let (code, said) = fed(s3.command(&arguments), &rows);
        assert!(code == Some(0) && said.starts_with("orders-"), "{arguments:?}: {said}");
        let (put, body) = s3.requests.recv_timeout(PATIENCE).unwrap();
        assert!(put.starts_with("PUT /in/in/orders.csv") && body.contains(&rows), "{put}");
    }
    let pipe = s3.folder.path().join("pipe.csv");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let child = s3.command(&["submit", "pipe.csv"]).spawn().unwrap();
    std::fs::write(pipe, &rows).unwrap();
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
    assert!(s3.requests.recv_timeout(PATIENCE).unwrap().1.contains(&rows));
    for (file, told) in [
        ("-", "error: standard input has no name: give one with --key"),
        ("/dev/stdin", "give its name with --key"),
        (".", ". is not a file"),
    ] {
        let (code, said) = fed(s3.command(&["submit", file]), &rows);
        assert!(code == Some(2) && said.contains(told), "{file}: {said}");
    }
}

#[test]
fn a_key_that_the_pipeline_ignores_is_refused_with_what_to_do() {
    let s3 = S3::start(false, r#"{"format":"{\"ignore\":[\"_*\",\"*.tmp.csv\"]}"}"#);
    for name in ["_orders.csv", "orders.tmp.csv", "orders.csv"] {
        s3.file(name, 10);
    }
    for (arguments, code) in [
        (&["submit", "_orders.csv"][..], 2),
        (&["submit", "orders.tmp.csv"], 2),
        (&["submit", "orders.csv", "--key", "_in/orders.csv"], 2),
        (&["submit", "orders.csv"], 0),
        (&["submit", "_orders.csv", "--key", "orders.csv"], 0),
    ] {
        let done = s3.command(arguments).output().unwrap();
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(code == 0 || said.contains("the pipeline ignores") && said.contains("--key"), "{said}");
    }
    assert_eq!(s3.requests.try_iter().count(), 2, "only what is not ignored is uploaded");
}

#[test]
fn a_key_that_s3_does_not_announce_is_refused_with_what_to_do() {
    let s3 = S3::start(false, r#"{"input_prefix":"incoming/","input_suffix":".csv"}"#);
    for name in ["orders.csv", "orders.json"] {
        s3.file(name, 10);
    }
    let wanted = "only keys that begin with incoming/ and end with .csv; give such a key with --key";
    for (arguments, uploaded) in [
        (&["submit", "orders.csv"][..], Some("PUT /in/incoming/orders.csv")),
        (&["submit", "orders.csv", "--key", "incoming/a.csv"], Some("PUT /in/incoming/a.csv")),
        (&["submit", "orders.csv", "--key", "a.csv"], None),
        (&["submit", "orders.json"], None),
    ] {
        let done = s3.command(arguments).output().unwrap();
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(if uploaded.is_some() { 0 } else { 2 }), "{arguments:?}: {said}");
        assert!(uploaded.is_some() || said.contains(wanted), "{said}");
        let put = s3.requests.try_iter().map(|(put, _)| put).collect::<Vec<_>>();
        assert_eq!(put.len(), usize::from(uploaded.is_some()), "{put:?}");
        assert!(put.iter().zip(uploaded).all(|(put, uploaded)| put.starts_with(uploaded)), "{put:?}");
    }
}

#[test]
fn a_batch_is_found_by_its_key_even_though_its_id_is_not_known() {
    let s3 = S3::start(false, "{}");
    // It is only said which one it is: this S3 is no ledger.
    let child = s3.command(&["status", "--key", "orders.csv"]).spawn().unwrap();
    let (head, _) = s3.requests.recv_timeout(PATIENCE).unwrap();
    assert!(head.starts_with("HEAD /in/orders.csv"), "{head}");
    let said = String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap();
    assert!(said.starts_with("batch orders-") && said.contains(", uploaded at "), "{said}");
    for arguments in [&["status"][..], &["status", "orders-0123456789ab", "--key", "orders.csv"]] {
        let done = s3.command(arguments).output().unwrap();
        assert_eq!(done.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn a_file_of_a_pipe_is_run_too() {
    let s3 = S3::start(false, "{}");
    let rows = "itemNo,price\na,1\nb,2\n";
    let run = |arguments: &[&str]| fed(s3.command(&[&["run"], arguments].concat()), rows);
    for arguments in [&["-", "--name", "orders.csv"], &["/dev/stdin", "--name", "orders.csv"]] {
        let (code, said) = run(arguments);
        assert!(code == Some(0) && said.contains("2 succeeded"), "{arguments:?}: {said}");
    }
    let (code, said) = run(&["-"]);
    assert!(code == Some(2) && said.contains("give one with --name"), "{said}");
    assert!(Path::new(s3.folder.path()).join("fanfold-run/summary.json").is_file());
}

#[test]
fn a_prefix_becomes_a_list_of_its_objects() {
    let s3 = S3::start(false, "{}");
    let done = s3.command(&["submit", "s3://in/day/"]).output().unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(0), "{said}");
    assert!(said.contains("3 objects in s3://in/day.manifest.jsonl"), "{said}");
    assert!(String::from_utf8(done.stdout).unwrap().starts_with("day.manifest-"));
    let requests: Vec<Request> = s3.requests.try_iter().collect();
    let (put, body) = requests.last().unwrap();
    assert!(put.starts_with("PUT /in/day.manifest.jsonl"), "{put}");
    let listed =
        ["day/a & b.csv", "day/b.csv", "day/c/d.csv"].map(|key| format!("{{\"key\":\"{key}\",\"eTag\":\"e1\"}}\n"));
    assert!(body.contains(&listed.concat()), "{body}");
    for (arguments, code, told) in [
        (&["submit", "s3://in/none/"][..], 1, "under s3://in/none/ lies no file of records"),
        (&["submit", "s3://other/day/"], 2, "is not the pipeline's input bucket, s3://in/"),
        (&["submit", "s3://in/day/", "--key", "day.csv"], 2, "give a --key in .manifest.jsonl"),
        (&["run", "day.manifest.csv"], 2, "is not a file"),
    ] {
        let done = s3.command(arguments).output().unwrap();
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(done.status.code() == Some(code) && said.contains(told), "{arguments:?}: {said}");
    }
    s3.file("day.manifest.csv", 10);
    for command in [&["run", "day.manifest.csv"][..], &["check", "--file", "day.manifest.csv"]] {
        let done = s3.command(command).output().unwrap();
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(done.status.code() == Some(2) && said.contains("would be a list of objects"), "{said}");
    }
}
