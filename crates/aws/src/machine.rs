//! A state machine in Step Functions, which runs a Distributed Map for each batch that it is told of.

use aws_sdk_sfn::Client;
use aws_sdk_sfn::error::SdkError;
use aws_sdk_sfn::operation::start_execution::StartExecutionError;

use crate::{calls, error};
use fanfold::model::error::{Error, Result};
use fanfold::model::message::MapOrder;
use fanfold::store::channel::Outgoing;

/// The longest name of an execution (<https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html>).
const LONGEST: usize = 80;
/// The transitions of an execution besides one for each item of the map: its beginning, the map, what follows it, and its end
/// (<https://aws.amazon.com/step-functions/pricing/>: each item of a Distributed Map counts as one, also with express children).
const TRANSITIONS: u64 = 4;

/// A state machine in Step Functions.
#[derive(Debug, Clone)]
pub struct Machine {
    client: Client,
    arn: String,
}

impl Machine {
    /// A state machine by its ARN.
    pub fn new(client: Client, arn: impl Into<String>) -> Self {
        Self { client, arn: arn.into() }
    }

    /// Starts an execution for each order, named by its group. What has one, or had one within 90 days, is left as it is, so that a
    /// repeat makes no difference.
    ///
    /// # Errors
    /// Those of the service; `Internal` for a message that has no group or is no order.
    pub async fn start(&self, orders: &[Outgoing]) -> Result<()> {
        for order in orders {
            let name = order.order().ok_or_else(|| Error::internal("an order without a group"))?;
            let chunks = u64::from(MapOrder::parse(&order.body)?.chunks);
            let start = self.client.start_execution().state_machine_arn(&self.arn).name(last(name)).input(&order.body);
            match start.send().await {
                Ok(_) => {
                    calls::count_transitions(chunks + TRANSITIONS);
                    calls::count_express(chunks);
                }
                // Of one that runs with the same input, the service says that it was started.
                Err(refused) if is_there(&refused) => {}
                Err(refused) => return Err(self.refused(refused)),
            }
        }
        Ok(())
    }

    fn refused(&self, refused: SdkError<StartExecutionError>) -> Error {
        let told = refused.as_service_error();
        let gone = told.is_some_and(|told| told.is_state_machine_does_not_exist() || told.is_state_machine_deleting());
        // Too many that are open: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
        let full = told.is_some_and(StartExecutionError::is_execution_limit_exceeded);
        let error = error::of_call("start an execution of", &self.arn, refused);
        if gone {
            return Error::config("the state machine is gone; run `make deploy` again").because(error);
        }
        if full { Error::busy("too many executions are open").because(error) } else { error }
    }
}

fn is_there(refused: &SdkError<StartExecutionError>) -> bool {
    refused.as_service_error().is_some_and(StartExecutionError::is_execution_already_exists)
}

/// The end of a batch's name, which no other batch has: in front of it is a part of the name of its file.
fn last(name: &str) -> &str {
    // A batch id is of ASCII alone.
    &name[name.len().saturating_sub(LONGEST)..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_the_end_that_tells_it_from_others() {
        assert_eq!(last("orders-0123456789ab.r2"), "orders-0123456789ab.r2");
        let long = format!("{}-0123456789ab.r2", "o".repeat(80));
        assert_eq!(last(&long).len(), LONGEST);
        assert!(long.ends_with(last(&long)) && last(&long).ends_with("-0123456789ab.r2"));
    }
}
