//! The state machine of the variant `sfn`.

use std::time::Duration;

use fanfold::batch::map;
use fanfold::model::ids::{BatchId, ChunkIndex};
use fanfold::model::message::{GatherMessage, MapFailure, MapOrder, to_body};
use fanfold::store::blob::Blob;
use fanfold::store::channel::{Channel, Outgoing};
use fanfold::store::ledger::Ledger;
use fanfold_aws::sqs::SqsChannel;
use tokio::time::{sleep, timeout};

use crate::faults::Scattered;
use crate::world::World;
use crate::{counts, csv};

/// Waits until an execution is over, and returns its state and its input.
async fn ended(world: &World, execution: &str) -> (String, String) {
    let look = async {
        loop {
            let told = world.clients.sfn().describe_execution().execution_arn(execution).send().await.unwrap();
            if told.status().as_str() != "RUNNING" {
                return (told.status().as_str().to_owned(), told.input.unwrap());
            }
            // Step Functions offers nothing with which a client could await an end.
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_secs(60), look).await.expect("an execution that ends")
}

/// The next message of a queue that nobody else reads. What is handed over comes some seconds later.
async fn next(queue: &SqsChannel) -> String {
    let wait = async {
        loop {
            if let Some(delivery) = queue.receive(1).await.unwrap().pop() {
                queue.delete(&delivery.receipt).await.unwrap();
                return delivery.body;
            }
        }
    };
    timeout(Duration::from_secs(60), wait).await.expect("a message")
}

#[tokio::test]
async fn a_map_runs_a_worker_for_each_chunk_of_a_batch() {
    let world = World::of("sfn").await;
    let done = world.submit("mapped.csv", &csv(120, "mapped"));
    assert_eq!((done.code, counts(&done.summary())), (0, (120, 120, 0)), "{}", done.stderr);
    let batch = done.summary().batch_id;
    let machine = world.resources.machine_arn.clone().unwrap();
    let execution = format!("{}:{batch}", machine.replace(":stateMachine:", ":execution:"));
    let order = MapOrder::new(batch.clone(), 3);
    assert_eq!(ended(&world, &execution).await, ("SUCCEEDED".to_owned(), to_body(&order)));
    let sfn = world.clients.sfn();
    let runs = sfn.list_map_runs().execution_arn(&execution).send().await.unwrap().map_runs;
    let run = sfn.describe_map_run().map_run_arn(runs[0].map_run_arn()).send().await.unwrap();
    let workers = run.execution_counts.unwrap();
    assert_eq!((runs.len(), workers.total(), workers.succeeded()), (1, 3, 3));
    // Another scatter of the batch starts no second map.
    let again = Outgoing::ordered(to_body(&order), batch.as_str());
    world.clients.machine(&machine).start(&[again]).await.unwrap();
    let all = sfn.list_executions().state_machine_arn(&machine).max_results(1_000).send().await.unwrap().executions;
    assert_eq!(all.iter().filter(|one| one.name().contains(batch.as_str())).count(), 1);
}

/// The deployed state machine with queues of its own: those of the workers, of their dead letters and of gather.
struct Apart {
    world: World,
    machine: String,
    process: SqsChannel,
    letters: SqsChannel,
    gather: SqsChannel,
}

impl Apart {
    /// Its workers are this function.
    async fn of(name: &str, function: &str) -> Self {
        let world = World::of("sfn").await;
        let deployed = world.resources.machine_arn.clone().unwrap();
        let sfn = world.clients.sfn();
        let deployed = sfn.describe_state_machine().state_machine_arn(deployed).send().await.unwrap();
        let mut definition = deployed.definition;
        let mut queues = Vec::new();
        for (stage, url) in [
            ("process", &world.resources.queues["process"]),
            ("letters", &world.resources.dead_letter_queues["process"]),
            ("gather.fifo", &world.resources.queues["gather"]),
        ] {
            let own = format!("{name}-{stage}");
            queues.push(world.new_queue(&own, stage.ends_with(".fifo")).await);
            let own = world.clients.sqs.get_queue_url().queue_name(&own).send().await.unwrap().queue_url.unwrap();
            assert!(definition.contains(&format!("\"{url}\"")), "{url}");
            definition = definition.replace(&format!("\"{url}\""), &format!("\"{own}\""));
        }
        let workers = ":function:test-sfn-process\"";
        assert!(definition.contains(workers), "{definition}");
        definition = definition.replace(workers, &format!(":function:{function}\""));
        let made = sfn.create_state_machine().name(name).role_arn(&deployed.role_arn).definition(definition);
        let machine = made.send().await.unwrap().state_machine_arn;
        let [process, letters, gather] = queues.try_into().unwrap_or_else(|_| panic!("three queues"));
        Self { world, machine, process, letters, gather }
    }

    /// Runs the map of a batch to its end, and returns how it ended.
    async fn run(&self, batch: &BatchId, chunks: u32) -> String {
        let order = to_body(&MapOrder::new(batch.clone(), chunks));
        let start = self.world.clients.sfn().start_execution().state_machine_arn(&self.machine);
        let started = start.name(batch.as_str()).input(order).send().await.unwrap();
        ended(&self.world, &started.execution_arn).await.0
    }

    async fn end(self) {
        let end = self.world.clients.sfn().delete_state_machine().state_machine_arn(self.machine);
        end.send().await.unwrap();
    }
}

#[tokio::test]
async fn what_a_map_does_not_get_done_is_handed_over() {
    let name = format!("handing{}", std::process::id());
    let apart = Apart::of(&name, "test-sfn-nobody").await;
    let work = &apart.world.work;
    let batch = BatchId::parse(&format!("{name}-0123456789ab")).unwrap();
    map::write(work, &batch, 3).await.unwrap();
    assert_eq!(apart.run(&batch, 3).await, "SUCCEEDED");
    let mut handed = Vec::new();
    for _ in 0..3 {
        handed.push(next(&apart.process).await);
    }
    handed.sort_unstable();
    assert_eq!(handed, map::read(work, &batch, 3).await.unwrap());
    let asked = GatherMessage::parse(&next(&apart.gather).await).unwrap();
    assert_eq!(asked, GatherMessage::new(batch).if_complete());

    // Of this one there is no list.
    let other = BatchId::parse(&format!("{name}-ba9876543210")).unwrap();
    assert_eq!(apart.run(&other, 3).await, "FAILED");
    let failure = MapFailure::parse(&next(&apart.letters).await).unwrap();
    assert_eq!((failure.map, failure.failed.error.as_str()), (other, "States.ItemReaderFailed"));
    apart.end().await;
}

#[tokio::test]
async fn what_a_worker_names_in_its_answer_is_handed_over() {
    let name = format!("named{}", std::process::id());
    let apart = Apart::of(&name, "test-sfn-process").await;
    let world = &apart.world;
    let batch = Scattered::put(world, &name, 2).await.id;
    // The records of the second chunk are not there, as for a while after they were put.
    world.work.delete(&batch.pending_key(ChunkIndex::new(1).unwrap())).await.unwrap();
    map::write(&world.work, &batch, 2).await.unwrap();
    assert_eq!(apart.run(&batch, 2).await, "SUCCEEDED");
    assert_eq!(next(&apart.process).await, map::read(&world.work, &batch, 2).await.unwrap()[1]);
    let leaf = world.ledger.read_leaves(&batch, 0..1).await.unwrap().remove(0);
    assert_eq!(leaf.done.iter().copied().collect::<Vec<_>>(), [0]);
    let cancelled = world.command(&["cancel", batch.as_str(), "--variant", "sfn"]);
    assert_eq!(cancelled.code, 0, "{}", cancelled.stderr);
    apart.end().await;
}
