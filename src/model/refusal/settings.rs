//! Of settings.

use super::{Refusal, refusal};

/// What is said of a setting before anything is deployed, and by the commands that need no deployment.
pub const SETTINGS: &[Refusal] = &[
    refusal(
        "UNKNOWN_VARIANT",
        "VARIANT {name} is not built in; this build has: {names}",
        "No variant has this name, or the program was built without it.",
        "Name one of those listed.",
    ),
    refusal(
        "UNKNOWN_RESULTS",
        "RESULTS is {name}; it can be all, failed or none",
        "`RESULTS` says which outcomes are written out.",
        "Give one of the three, or nothing, which means `all`.",
    ),
    refusal(
        "UNKNOWN_WRITE_MODE",
        "WRITE_MODE is {name}; it can be batch or ordered",
        "`WRITE_MODE` says which record wins if several have one key.",
        "Give one of the two, or nothing, which means `batch`.",
    ),
    refusal(
        "UNKNOWN_FAIR_BY",
        "FAIR_BY is {name}; it can be batch or prefix",
        "`FAIR_BY` says what shares the workers.",
        "Give one of the two, or nothing, which means `batch`.",
    ),
    refusal(
        "WRONG_TOLERANCE",
        "TOLERATE is {text}; it must be a number of records, such as 1000, or a percentage of them up to 100%, such as 5% \
         or 0.25%",
        "`TOLERATE` says how many records of a batch may fail before it is stopped.",
        "Give one of the two, or nothing, which means that all may.",
    ),
    refusal(
        "UNKNOWN_ITEM_ATTRIBUTES",
        "ITEM_ATTRIBUTES is {name}; it can be prefixed or bare",
        "`ITEM_ATTRIBUTES` says how fanfold's own attributes are named.",
        "Give one of the two, or nothing, which means `prefixed`.",
    ),
    refusal(
        "KEY_FIELD_TAKEN",
        "KEY_FIELD is {name}, which every item has already; name another field",
        "The key field would be one of fanfold's own attributes.",
        "Deploy with another `KEY_FIELD`.",
    ),
    refusal(
        "FORMAT_NOT_OBJECT",
        "FORMAT must be a JSON object such as {\"delimiter\":\";\",\"encoding\":\"windows-1252\"}",
        "`FORMAT` does not begin like an object.",
        "Write an object, in single quotes if a shell reads it.",
    ),
    refusal(
        "FORMAT_UNREADABLE",
        "FORMAT must be a JSON object such as {\"delimiter\":\";\",\"encoding\":\"windows-1252\"}: {reason}",
        "`FORMAT` is not JSON, has a member that is no setting, or a value that is not of its type.",
        "Correct what the message names.",
    ),
    refusal(
        "UNKNOWN_ENCODING",
        "encoding {name} is not known; it can be utf-8 or one of a byte a character, such as windows-1252, iso-8859-2, \
         koi8-r or macintosh; UTF-16 with a byte order mark is recognised by itself{place}",
        "`encoding` in `FORMAT` names none, or one whose characters take several bytes.",
        "Give one of <https://encoding.spec.whatwg.org/#names-and-labels> with single bytes, or convert the file to UTF-8.",
    ),
    refusal(
        "SIGN_NOT_ASCII",
        "FORMAT: {name} is {sign}; it must be one character of ASCII",
        "`delimiter`, `quote` or `comment` in `FORMAT` is a sign that is not one byte, or ends lines.",
        "Give another sign.",
    ),
    refusal(
        "SIGN_TWICE",
        "FORMAT: {name} and {other} are both {sign}",
        "Two of `delimiter`, `quote` and `comment` in `FORMAT` are the same.",
        "Change one.",
    ),
    refusal(
        "WRONG_RECORDS_PATH",
        "FORMAT: records_path must be names with dots between them, such as data.items",
        "`records_path` in `FORMAT` has an empty name.",
        "Write the names of the members that lead to the array of records.",
    ),
    refusal(
        "WRONG_IGNORE_PATTERN",
        "FORMAT: ignore has {pattern}; a pattern has * at its beginning, at its end or nowhere",
        "`ignore` in `FORMAT` has a pattern that is empty, or has `*` within it.",
        "Write it as two patterns, or as a wider one.",
    ),
    refusal(
        "WRONG_MAX_HEADER",
        "FORMAT: max_header is {bytes}; it can be 1 to 65536 bytes",
        "`max_header` in `FORMAT` allows no header, or one that the ledger could not keep.",
        "Give another number; 4096 is the default.",
    ),
    refusal(
        "EMPTY_COLUMN",
        "FORMAT: columns has an empty name; a column must have one",
        "`columns` in `FORMAT` names the columns of files without a header, and one of them is no name.",
        "Name all columns.",
    ),
    refusal(
        "COLUMN_TWICE",
        "FORMAT: columns has {name} twice; rename one",
        "Two of the columns in `columns` in `FORMAT` have the same name.",
        "Rename one.",
    ),
    refusal(
        "COLUMNS_TOO_LONG",
        "FORMAT: columns takes {bytes} bytes, and {most} are allowed, since every record repeats them; shorten the names, \
         or set a max_header of {bytes}, which can be up to 65536",
        "The names of `columns` in `FORMAT`, as JSON, are longer than a header may be.",
        "Shorten them, or raise `max_header` in `FORMAT`.",
    ),
    refusal(
        "LIMITS_NOT_OBJECT",
        "LIMITS must be a JSON object such as {\"records\":1000000,\"dollars\":10}",
        "`LIMITS` does not begin like an object.",
        "Write an object, in single quotes if a shell reads it.",
    ),
    refusal(
        "LIMITS_UNREADABLE",
        "LIMITS must be a JSON object such as {\"records\":1000000,\"dollars\":10}: {reason}",
        "`LIMITS` is not JSON, has a member that is no limit, or a value that is not of its type.",
        "Correct what the message names.",
    ),
    refusal(
        "LIMIT_NOT_POSITIVE",
        "LIMITS: {name} is {value}; it must be above 0, and leave room to count",
        "A limit in `LIMITS` allows nothing, or is too large to be one.",
        "Give another number, or leave it out.",
    ),
    refusal(
        "TEXT_OF_TWO_VALUES",
        "{list} has {text}, which another list has too; a text stands for one value",
        "A text is in two of `null_values`, `true_values` and `false_values` in `FORMAT`.",
        "Take it from one of them.",
    ),
    refusal(
        "EMPTY_TEXT_OF_BOOLEAN",
        "{list} has {text}, but an empty cell is no value; leave it out",
        "`true_values` or `false_values` in `FORMAT` has a text of no characters.",
        "Take it out.",
    ),
    refusal(
        "TEXT_OF_OPPOSITE",
        "{list} has {text}, which means the opposite",
        "`true_values` in `FORMAT` has `false`, or `false_values` has `true`.",
        "Take it out.",
    ),
    refusal(
        "SCHEMA_NOT_JSON",
        "the record schema is not JSON; correct SCHEMA: {reason}",
        "The file that `SCHEMA` names is not JSON.",
        "Correct it where the message says.",
    ),
    refusal(
        "SCHEMA_NOT_VALID",
        "the record schema is not a JSON Schema of draft 2020-12; correct SCHEMA{place}: {reason…}",
        "The file that `SCHEMA` names is JSON, but no schema: a keyword has a value that it cannot have, or it refers to another document.",
        "Correct it where the message says.",
    ),
    refusal(
        "AGGREGATE_NOT_OBJECT",
        "aggregate must be an object such as {\"group_by\":[\"client\",\"day\"],\"sum\":[\"quantity\"]}",
        "`aggregate` is among the processors without saying what is counted.",
        "Write an object with `group_by`.",
    ),
    refusal(
        "AGGREGATE_WITHOUT_GROUP",
        "aggregate: group_by must name at least one field",
        "`aggregate` does not say by which fields records are counted.",
        "Name the fields.",
    ),
    refusal(
        "AGGREGATE_NOT_FIELDS",
        "aggregate: {list} must be a list of names of fields, each given once",
        "A setting of `aggregate` is no list, has something else than names in it, or a name twice.",
        "Correct the list; fields of objects are named as in `a.b`.",
    ),
    refusal(
        "AGGREGATE_UNKNOWN",
        "aggregate: {name} is no setting; there is group_by, sum, min, max",
        "`aggregate` has a member that it does not know.",
        "Take it out. The count of records is always kept.",
    ),
    refusal(
        "PROCESSORS_NOT_LIST",
        "PROCESSORS must be a JSON list of processors, each a name or an object, such as [\"items\"]",
        "`PROCESSORS` is JSON, but names no processor: an empty list, or an entry of another form.",
        "Write a list; an entry with settings is an object with the processor's name alone, as in `{\"http\":{…}}`.",
    ),
    refusal(
        "PROCESSORS_NOT_JSON",
        "PROCESSORS must be a JSON list of processors, each a name or an object, such as [\"items\"]: {reason}",
        "`PROCESSORS` is not JSON, and not the name of a processor either.",
        "Correct it where the message says, and put it in single quotes if a shell reads it.",
    ),
    refusal(
        "UNKNOWN_PROCESSOR",
        "{name} is no processor; there is {names}",
        "No processor has this name.",
        "Name one of those listed. A processor of your own is `custom`.",
    ),
    refusal(
        "PROCESSOR_WITHOUT_SETTINGS",
        "{name} has no settings; give its name alone",
        "`items` or `custom` in `PROCESSORS` is an object that holds something.",
        "Write the name in quotes.",
    ),
    refusal(
        "SEVERAL_PROCESSORS",
        "a record can be given to one processor only, besides those that store it; name one of bill, custom, http, invoke, meter, terms and usage",
        "`PROCESSORS` names several that records would be given to.",
        "Take all but one out. What several do with a record, a function of yours can do that calls them.",
    ),
    refusal(
        "PROCESSOR_FIELD_NOT_IN_SCHEMA",
        "PROCESSORS uses {fields}, and the record schema allows no such field; correct one of them",
        "A processor needs a field that the schema forbids in every record, so that none could succeed.",
        "Correct the field's name, or add it to the schema.",
    ),
];

/// What a function says of its settings when it starts, after `the function is misconfigured`. Terraform sets them.
pub const FUNCTIONS: &[Refusal] = &[
    refusal(
        "VARIABLE_NOT_SET",
        "{name} is not set",
        "The function lacks a variable of its environment.",
        "Run `make deploy` again; set it if you deploy the function yourself.",
    ),
    refusal(
        "VARIABLE_NOT_A_NUMBER",
        "{name} must be a whole number above 0, and is {text}",
        "A variable of the function's environment is not a number that it can use.",
        "Set it to one.",
    ),
    refusal(
        "UNKNOWN_HANDLER",
        "the handler {name} is not a stage; it must be one of: {stages}",
        "The function's handler names no stage.",
        "Set it to one of those listed.",
    ),
    refusal(
        "SETTING_NOT_THERE",
        "{name} names {object}, which cannot be read: {reason…}",
        "The function's schema, or its processors, are not where its environment says, or the function may not read them.",
        "Run `make deploy` again; set the variable to the object, or to the setting itself, if you deploy the function yourself.",
    ),
    refusal(
        "NO_CUSTOM_PROCESSOR",
        "PROCESSORS names custom, but these functions are built without a processor of your own: deploy them with \
         BOOTSTRAP, the path of an executable that has one, or take custom out",
        "`custom` is a processor in Rust that functions are built around, and these are fanfold's own.",
        "Deploy with `BOOTSTRAP` set to an executable whose `main` is `fanfold_lambda::run(processor)`, or without `custom`.",
    ),
    refusal(
        "UNUSED_CUSTOM_PROCESSOR",
        "PROCESSORS does not name custom, the processor that these functions are built around: name it, or deploy \
         without BOOTSTRAP",
        "The functions are built around a processor in Rust that the pipeline would not use.",
        "Add `custom` to `PROCESSORS`, or deploy without `BOOTSTRAP`.",
    ),
    refusal(
        "RECORDS_NOT_STORED",
        "PROCESSORS: records that are sent one at a time become items or events: name items or meter",
        "The function that stores such records has no items table, and keeps no events.",
        "Add `items` or `meter` to `PROCESSORS`, or deploy without `RECORDS_API`.",
    ),
    refusal(
        "RECORDS_NOT_COUNTED",
        "PROCESSORS: aggregate counts the records of batches, and not those that are sent one at a time",
        "Counters are sums over chunks, and a record that is sent by itself is in none.",
        "Give such records a pipeline without `aggregate`.",
    ),
];
