//! A command of this machine in the place of a function: JSON Lines in, JSON Lines out.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use fanfold::model::error::{Error, Result};
use fanfold::model::processing::{Processing, Work};
use fanfold::processor::Processor;
use fanfold::processor::invoke::Invoke;
use fanfold::store::clock::SystemClock;
use fanfold::store::function::{CallError, Function, Returned};

/// What a command is spoken to like: as a function with fanfold's own contract, whose tasks are lines.
const SETTINGS: &str = r#"{"invoke":{"function_arn":"arn:aws:lambda:us-east-1:000000000000:function:exec",
    "contract":"fanfold","concurrency":1}}"#;

/// A processor that gives each record to a command, as a line of its standard input:
/// `{"taskId","index","attempt","record"}`. The command answers each with a line of its standard output, in their order,
/// whose members may be `status` (`succeeded`, `temporary` or `permanent`), `message`, `result` and `item`.
///
/// # Errors
/// `Config` if the command cannot be started.
pub fn processor(command: &str) -> Result<impl Processor> {
    let Work::Invoke(settings) = Processing::parse(SETTINGS)?.work else {
        return Err(Error::internal("a command is no function"));
    };
    let process = Process::start(command)?;
    let running = Arc::new(Mutex::new(Some(process)));
    Ok(Invoke::new(*settings, Exec { command: command.to_owned(), running }, SystemClock))
}

#[derive(Debug)]
struct Exec {
    command: String,
    running: Arc<Mutex<Option<Process>>>,
}

impl Function for Exec {
    async fn invoke(&self, payload: Bytes, _patience: Duration) -> std::result::Result<Returned, CallError> {
        let (command, running) = (self.command.clone(), self.running.clone());
        let answered = tokio::task::spawn_blocking(move || {
            // A process that another call has left is as good as any.
            let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
            answer(&command, &mut running, &payload)
        });
        let payload = answered.await.map_err(|e| CallError::Unknown(e.to_string()))?.map_err(CallError::Refused)?;
        Ok(Returned { payload: payload.into(), ..Returned::default() })
    }
}

/// Has the command answer for all tasks of a request. It is started again if it ends before that.
fn answer(command: &str, running: &mut Option<Process>, request: &[u8]) -> Result<Vec<u8>> {
    let unreadable = |e| Error::internal("a request is not readable").because(e);
    let request: Value = serde_json::from_slice(request).map_err(unreadable)?;
    let tasks = request["tasks"].as_array().cloned().unwrap_or_default();
    let mut results = Vec::with_capacity(tasks.len());
    while results.len() < tasks.len() {
        let mut process = match running.take() {
            Some(process) => process,
            None => Process::start(command)?,
        };
        match process.answer_all(&tasks[results.len()..], &mut results) {
            None => *running = Some(process),
            Some(ended) => results.push(said(&tasks[results.len()], json!({"status": "permanent", "message": ended}))),
        }
    }
    serde_json::to_vec(&json!({"results": results})).map_err(unreadable)
}

/// An answer, for the task that it is about; one that says no more is a success.
fn said(task: &Value, answer: Value) -> Value {
    let mut whole = Map::from_iter([("status".to_owned(), Value::from("succeeded"))]);
    whole.extend(answer.as_object().cloned().unwrap_or_default());
    whole.insert("taskId".to_owned(), task["taskId"].clone());
    Value::Object(whole)
}

/// The command as it runs.
#[derive(Debug)]
struct Process {
    child: Child,
    input: Arc<Mutex<ChildStdin>>,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(command: &str) -> Result<Self> {
        let cannot = |e| Error::config(format!("could not start {command:?}")).because(e);
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(command).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = shell.spawn().map_err(cannot)?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (input, output) = pipes.ok_or_else(|| Error::internal("the command has no pipes"))?;
        Ok(Self { child, input: Arc::new(Mutex::new(input)), output: BufReader::new(output) })
    }

    /// Adds answers until all tasks have one. Otherwise says why the next has none: the command has ended.
    fn answer_all(&mut self, tasks: &[Value], results: &mut Vec<Value>) -> Option<String> {
        let lines: String = tasks.iter().map(|task| format!("{task}\n")).collect();
        let input = self.input.clone();
        // Beside the reading: a command may answer before it has read everything.
        let writing = std::thread::spawn(move || {
            let mut input = input.lock().unwrap_or_else(PoisonError::into_inner);
            // That it reads no more shows when it answers no more.
            let _ = input.write_all(lines.as_bytes()).and_then(|()| input.flush());
        });
        let ended = tasks.iter().find_map(|task| match self.line() {
            Some(line) => {
                results.push(said(task, read(&line)));
                None
            }
            None => Some(self.ended()),
        });
        if ended.is_some() {
            let _ = self.child.kill();
        }
        let _ = writing.join();
        ended
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.output.read_line(&mut line) {
            Ok(bytes) if bytes > 0 => Some(line),
            _ => None,
        }
    }

    fn ended(&mut self) -> String {
        let status = self.child.wait().map_or_else(|e| e.to_string(), |status| status.to_string());
        format!("the command ended before it answered for this record ({status})")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has nothing left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The answer that a line is.
fn read(line: &str) -> Value {
    let wrong = |what: String| json!({"status": "permanent", "message": format!("the command answered with {what}")});
    match serde_json::from_str::<Value>(line) {
        Ok(answer @ Value::Object(_)) => answer,
        _ => wrong(format!("a line that is no JSON object: {}", line.trim_end())),
    }
}
