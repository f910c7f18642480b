//! Of the processor `invoke`: its settings, and what is said of a record that a function was called for.

use super::{Refusal, refusal};

/// What is said of a record that was given to a function.
pub const INVOKED: &[Refusal] = &[
    refusal(
        "FUNCTION_ANSWERED",
        "the function answered: {words…}",
        "The function said of this record that it failed, for good or once more; what follows are its own words.",
        "Correct what they name, then `fanfold redrive`.",
    ),
    refusal(
        "FUNCTION_GAVE_NO_REASON",
        "the function answered {status} without a reason",
        "The function said of this record that it failed, and not why.",
        "Look into the function's log; have it give a `message`, or a `resultString`.",
    ),
    refusal(
        "FUNCTION_OMITTED_RECORD",
        "the function answered nothing about this record",
        "The function's answer has no result for the record's task.",
        "Have it answer for each task. One of S3 Batch Operations can say in `treatMissingKeysAs` what it means to leave one out.",
    ),
    refusal(
        "FUNCTION_REJECTED",
        "rejected by processor: the function listed it in batchItemFailures",
        "The function named the record's message as failed at each try; the contract `sqs` has no words for a reason.",
        "Look into the function's log; the contract `fanfold` can tell the reason.",
    ),
    refusal(
        "FUNCTION_FAILED",
        "the function failed: {failure…}",
        "The function raised an error, crashed or ran into its own time limit, so that none of the records of the call has an answer.",
        "Fix what its error names. If one record brings it down, have fewer of them share a call (`records_per_call`).",
    ),
    refusal(
        "FUNCTION_ANSWER_MALFORMED",
        "the function's answer does not keep the contract {contract}: {problem…}",
        "The function ended well, and what it returned is not what its contract has: none of the call's records counts as done.",
        "Correct what the function returns, or set its `contract`.",
    ),
    refusal(
        "FUNCTION_NOT_CALLED",
        "the function could not be called: {reason…}",
        "The function is gone, may not be called, or could not be reached.",
        "Check `function_arn`, the function's state and the right to invoke it, then `fanfold redrive`.",
    ),
    refusal(
        "FUNCTION_THROTTLED",
        "the function has as many calls as it takes: {reason…}",
        "Lambda refused the calls, for as long as there was time: the function's concurrency, or the account's, is used up.",
        "Raise its concurrency, or lower `concurrency`; then `fanfold redrive`.",
    ),
    refusal(
        "FUNCTION_SILENT",
        "the function was called and did not answer: {reason…}",
        "The call did not end in time, or the connection broke. The function may have done its work all the same.",
        "Look into the function's log. Have it finish sooner, and let it tell a repeat by the task's id.",
    ),
    refusal(
        "NO_TIME_TO_CALL",
        "no time was left to call the function",
        "The calls for the records before this one took all the time there was.",
        "Raise `concurrency` or `records_per_call`, or have the function finish sooner.",
    ),
    refusal(
        "RECORD_TOO_LARGE_TO_SEND",
        "the record is too large to be sent to the function; a request has at most 6 MB",
        "A call of a Lambda function takes 6 MB, and the record with what belongs to it is larger.",
        "Divide the record, or give its place instead of its content.",
    ),
    refusal(
        "RECORD_NAMES_NO_OBJECT",
        "the record names no {what}: its field {field} is missing or empty",
        "The contract `s3batch` gives objects to a function, and the record does not say which one.",
        "Fill the field, or set `bucket` and `key` to the fields that have them.",
    ),
];

/// What is said of the settings of `invoke`.
pub const INVOKE_SETTINGS: &[Refusal] = &[
    refusal(
        "INVOKE_WITHOUT_SETTINGS",
        "invoke needs an object of settings, with function_arn at least",
        "`invoke` stands alone, or what stands with it is no object.",
        "Write an object with `function_arn`.",
    ),
    refusal(
        "UNKNOWN_INVOKE_SETTING",
        "invoke has no setting {name}; it has {names}",
        "No setting of `invoke` has this name.",
        "Correct its spelling, or take it out.",
    ),
    refusal(
        "NOT_A_FUNCTION_ARN",
        "function_arn is {text}, {what}; write the function's ARN, such as {example}",
        "The function is named by a name or a URL, or by the ARN of something else.",
        "Write its whole ARN, with an alias or a version if you use one.",
    ),
    refusal(
        "FUNCTION_OF_OTHER_REGION",
        "function_arn is of {region}, but the pipeline is in {own}; name a function of {own}",
        "Lambda calls functions of its own region only.",
        "Deploy the function where the pipeline is, or the pipeline where the function is.",
    ),
    refusal(
        "UNKNOWN_CONTRACT",
        "contract is {name}; it can be {names}",
        "No contract has this name.",
        "Give one of those listed, or nothing, which means `sqs`.",
    ),
    refusal(
        "SETTING_OF_OTHER_CONTRACT",
        "{setting} belongs to the contract {contracts}, not to {contract}",
        "The contract has no place for the setting.",
        "Take the setting out, or name the contract that it belongs to.",
    ),
    refusal(
        "ARGUMENTS_OF_SCHEMA_1",
        "arguments need schema_version 2.0",
        "Requests of version 1.0 have no place for user arguments.",
        "Set `schema_version` to `2.0`, if the function takes that, or take the arguments out.",
    ),
    refusal(
        "UNKNOWN_SCHEMA_VERSION",
        "schema_version is {version}; it can be 1.0 or 2.0",
        "S3 Batch Operations has no such version.",
        "Give the one that the function was made for.",
    ),
    refusal(
        "USER_ARGUMENTS_NOT_TEXTS",
        "arguments of s3batch must be an object of at most {most} texts",
        "S3 Batch Operations gives at most ten user arguments to a function, and each is a text.",
        "Write them as texts, or use the contract `fanfold`.",
    ),
    refusal(
        "INVOKE_SETTING_NOT_A_TEXT",
        "{name} must be a text, and is {value}",
        "The setting is a number, an object or the like, or a text of no characters.",
        "Write a text in quotes.",
    ),
    refusal(
        "INVOKE_SETTING_NOT_A_COUNT",
        "{name} must be a whole number from 1 to {most}, and is {value}",
        "The setting is no number, or not one that can be used.",
        "Give a number of that range, or leave the setting out.",
    ),
];
