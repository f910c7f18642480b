//! Of records as a whole.

use super::{Refusal, refusal};

/// What is said of a record.
pub const RECORDS: &[Refusal] = &[
    refusal(
        "TEXT_AFTER_QUOTE",
        "something follows the quote that closes the field opened at {place}; write a quote inside a quoted field as {quotes}",
        "A field of a CSV row is quoted, and between the quote that ends it and the next delimiter there is text.",
        "Double the quotes inside the field, as RFC 4180 has it; backslashes escape nothing.",
    ),
    refusal(
        "UNCLOSED_QUOTE",
        "the quote that opens this field is not closed; close it, or remove it",
        "A field of a CSV row begins with a quote that nothing closes, to the end of the file or for 6 MB.",
        "Close the field with a quote, or quote the whole field if it begins with one.",
    ),
    refusal(
        "WRONG_NUMBER_OF_FIELDS",
        "the row has {fields} fields, and the header has {columns}",
        "A CSV row has more or fewer fields than the header.",
        "Quote the fields that contain the delimiter; write all fields, also those that are empty.",
    ),
    refusal(
        "WRONG_NUMBER_OF_COLUMNS",
        "the row has {fields} fields, and the columns of the file, which has no header, are {columns}",
        "A row of a file without a header has more or fewer fields than the first row, or than `columns` in `FORMAT` has names.",
        "Quote the fields that contain the delimiter; write all fields, also those that are empty.",
    ),
    refusal(
        "TOO_MANY_CELLS",
        "the row has more than {fields} fields",
        "A CSV row has more fields than fanfold reads.",
        "Check that the row has line ends, or upload JSON Lines.",
    ),
    refusal(
        "CELL_WITHOUT_COLUMN",
        "column {number} has no name in the header, but holds {text} here; name it, or remove it",
        "The header names no column here, so there is no field for the cell.",
        "Name the column in the header, or remove it from all rows.",
    ),
    refusal(
        "WINDOWS_BYTE",
        "byte {byte} is not UTF-8; it looks like WINDOWS-1252: convert the file (iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW) \
         and upload it again, or set the pipeline's encoding",
        "The record is text of Windows, or Latin-1.",
        "Convert the file, or deploy with `FORMAT={\"encoding\":\"windows-1252\"}`.",
    ),
    refusal(
        "BYTE_NOT_UTF8",
        "byte {byte} is not UTF-8; save the file as UTF-8 and upload it again",
        "The record has a byte that no text in UTF-8 has there.",
        "Save the file as UTF-8, or deploy with its `encoding` in `FORMAT`.",
    ),
    refusal(
        "BYTE_OF_NO_CHARACTER",
        "byte {byte} means nothing in {encoding}",
        "The record has a byte that stands for no character in the pipeline's encoding.",
        "Deploy with the encoding that the file has.",
    ),
    refusal(
        "RECORD_TOO_LARGE",
        "the record is larger than {bytes} bytes; it is not repeated in the outputs",
        "The record is larger than any that fanfold reads.",
        "Divide it, or check that a line end or a quote is not missing before it.",
    ),
    refusal(
        "RECORD_NOT_REPEATED",
        "the record is too large to be repeated in the outputs",
        "What is wrong with the record stands before this; `failed` has no room for it.",
        "Take it from the file that you uploaded.",
    ),
    refusal(
        "RECORD_TOO_LARGE_FOR_ROW",
        "the record is larger than {bytes} bytes, which a row of the tasks table cannot hold; use another variant",
        "The variant `dynamodb` keeps each record in a row, which holds 400 KB with its outcome.",
        "Deploy another variant, such as `ranged`.",
    ),
    refusal(
        "LINE_NOT_JSON",
        "the line is not JSON: {reason}",
        "A line of JSON Lines is not JSON, at the column that the message names.",
        "Correct it there. Each line holds one object or several, and an object ends on its line.",
    ),
    refusal(
        "LINE_NOT_OBJECT",
        "the line is not a JSON object",
        "A line of JSON Lines is an array, a text, a number or the like.",
        "Write records as objects, `{\"field\":\"value\"}`.",
    ),
    refusal(
        "ELEMENT_NOT_JSON",
        "this is not JSON: {reason}",
        "An element of a JSON document is not JSON, at the place that the message names.",
        "Correct it there.",
    ),
    refusal(
        "ELEMENT_NOT_OBJECT",
        "the element is not an object",
        "An element of the array of records is an array, a text, a number or the like.",
        "Write records as objects, `{\"field\":\"value\"}`.",
    ),
    refusal(
        "MEMBER_TWICE",
        "the record cannot be read: an object has the member {name} twice",
        "Two members of an object have one name, and it is not clear which one is meant.",
        "Remove one, or rename it.",
    ),
    refusal(
        "BROKEN_ESCAPE",
        "the record cannot be read: {problem} hex escape at line {line} column {column}",
        "A text has `\\u` with half of a character after it, or with what is no number.",
        "Write the character itself, or both halves, as in `\\ud83d\\ude00`.",
    ),
    refusal(
        "NO_KEY",
        "the record has no field {name}, which is its key",
        "A record is stored under the value of its key field, and it has no such field.",
        "Add the field, or deploy with `KEY_FIELD` set to one that all records have.",
    ),
    refusal(
        "KEY_MISSPELT",
        "the record has no field {name}, which is its key; it has {other}",
        "The key field has another name here, by its letter case or by spaces.",
        "Rename it, or deploy with `KEY_FIELD` set to the name in the file.",
    ),
    refusal(
        "KEY_OF_OTHER_TYPE",
        "the key must be a string or a number",
        "The value of the key field is null, a boolean, an array or an object.",
        "Give it a text or a number.",
    ),
    refusal("KEY_EMPTY", "the key is empty", "The key field holds a text of no characters.", "Give the record a key."),
    refusal(
        "KEY_TOO_LONG",
        "the key is longer than {bytes} bytes",
        "DynamoDB holds no key of that length.",
        "Shorten it, or deploy with another `KEY_FIELD`.",
    ),
    refusal(
        "KEY_CELL_EMPTY",
        "the cell is empty, and it is the key",
        "The cell of a CSV row in the key column is empty.",
        "Fill it, or deploy with `KEY_FIELD` set to a column that is always filled.",
    ),
    refusal(
        "KEY_CELL_WITHOUT_VALUE",
        "the cell {text} is no value, and it is the key",
        "The cell of a CSV row in the key column is one of `null_values`.",
        "Fill it, or take the text from `null_values`.",
    ),
    refusal(
        "OWN_FIELD",
        "this field is written by fanfold itself; rename it in the input",
        "Every item has a field of this name already, which says what wrote it.",
        "Rename the field in the file.",
    ),
    refusal(
        "ITEM_TOO_LARGE",
        "the item would take {bytes} bytes, but DynamoDB allows at most {most}",
        "The record is larger than an item of DynamoDB can be.",
        "Divide the record, or leave large fields out.",
    ),
    refusal(
        "NESTED_TOO_DEEP",
        "values are nested deeper than {levels} levels",
        "Arrays and objects lie deeper in each other than DynamoDB can hold.",
        "Flatten the value, or write it as text.",
    ),
    refusal(
        "TOO_MANY_DIGITS",
        "the number has more than {digits} significant digits",
        "DynamoDB would round the number.",
        "Round it, or write it as text.",
    ),
    refusal(
        "NUMBER_OUT_OF_RANGE",
        "the number is beyond what DynamoDB can hold",
        "The number is too large, or too close to zero.",
        "Write it as text.",
    ),
    refusal(
        "TABLE_REFUSES",
        "the table refuses the item: {reason…}",
        "DynamoDB does not take the item; what follows are its own words.",
        "Correct what they name.",
    ),
    refusal(
        "RESULT_TOO_LONG",
        "its result is longer than {bytes} bytes",
        "The processor gave a result that does not fit beside the record.",
        "Store it elsewhere and give its place, or give less.",
    ),
    refusal(
        "CHUNK_FAILED",
        "the chunk could not be processed: received {times} times; the last error: {error…}",
        "No attempt at the chunk that the record belongs to succeeded; the record itself may be well.",
        "Fix what the last error names, then `fanfold redrive`.",
    ),
    refusal(
        "CHUNK_WITHOUT_ANSWER",
        "the chunk could not be processed: received {times} times; its function ended without an answer each time",
        "The function timed out, ran out of memory or crashed at each attempt.",
        "Look into its log (`make logs`), give it more time or memory, then `fanfold redrive`.",
    ),
    refusal(
        "BATCH_FAILS_TOO_OFTEN",
        "{failed} of {all} records failed, and TOLERATE allows {most}",
        "More records of the batch failed than are tolerated, before this one was processed.",
        "Mend what the other failed records tell, then `fanfold redrive`.",
    ),
    refusal(
        "BATCH_CANCELLED",
        "the batch was cancelled before this record was processed",
        "Somebody ran `fanfold cancel`.",
        "`fanfold redrive` processes what was skipped.",
    ),
    refusal(
        "BATCH_GIVEN_UP",
        "the batch made no progress for {hours} hours; what was done is kept",
        "The batch stood still for `GIVE_UP_AFTER`, and this record was not processed before.",
        "See what the alarms say, fix the cause, then `fanfold redrive`.",
    ),
    refusal(
        "NO_GROUP",
        "the record has no value in the field {name}, which its counters are grouped by",
        "A field of `group_by` is absent or null, so that nobody would find what is counted.",
        "Fill the field, or group by one that all records have.",
    ),
    refusal(
        "GROUP_MISSPELT",
        "the record has no value in the field {name}, which its counters are grouped by; it has {other}",
        "The field has another name here, by its letter case or by spaces.",
        "Rename it, or name it in `group_by` as in the file.",
    ),
    refusal(
        "GROUP_OF_OTHER_TYPE",
        "counters can be grouped by texts, numbers and booleans only",
        "A field of `group_by` holds an array or an object.",
        "Name a field in the object, as in `a.b`, or another field.",
    ),
    refusal(
        "GROUP_TOO_LONG",
        "the values that counters are grouped by are longer than {bytes} bytes",
        "The values are the key of a row in DynamoDB, as a JSON array, and would be too long for one.",
        "Shorten them, or group by other fields.",
    ),
    refusal(
        "COUNTER_NOT_A_NUMBER",
        "the value is not a number, which its counters need",
        "A field of `sum`, `min` or `max` holds neither a number nor a text that is one.",
        "Correct it, or leave it out: an absent field and null add nothing. For CSV, give the column a type in the schema.",
    ),
    refusal(
        "COUNTER_OUT_OF_RANGE",
        "counters hold numbers below 1e126 and not closer to zero than 1e-130, of {digits} digits at most",
        "The number is as large, or as long, as no item in DynamoDB may have it.",
        "Round it.",
    ),
    refusal(
        "COUNTERS_TOO_LARGE",
        "the counters of the chunk take {bytes} bytes, but a row of the tasks table holds {most}; \
         lower CHUNK_SIZE or use another variant",
        "The records of a chunk are of so many groups, or of groups with such long values, that their counters do not fit \
         beside the decision on the chunk.",
        "Do as the message says; only the variant `dynamodb` has this limit.",
    ),
    refusal(
        "OTHER_KEY_FIELD",
        "the batch began when the key field was {name}, and the key of the items table is {other} now; redrive the batch to store its records under that",
        "A deployment with another `KEY_FIELD` has replaced the items table while the batch was under way.",
        "`fanfold redrive`, or upload the file again.",
    ),
];

/// What the rows of Parquet files are told, beside what all records are.
pub const ROWS: &[Refusal] = &[
    refusal(
        "NOT_FINITE",
        "the value is not a finite number, which JSON cannot express",
        "The column holds NaN or an infinity.",
        "Write NULL, or the value as text.",
    ),
    refusal(
        "TEXT_NOT_UTF8",
        "the text is not UTF-8",
        "The column is declared as text, and its bytes are none.",
        "Write the column in UTF-8, or declare it as bytes, which come in base64.",
    ),
    refusal(
        "NOT_IN_A_DAY",
        "the time is not within a day",
        "The column is declared as a time of day, and the value is before midnight or after it.",
        "Correct the value.",
    ),
    refusal(
        "DECIMAL_TOO_LONG",
        "the decimal has too many digits",
        "The decimal takes more than 64 bytes.",
        "Write it as text.",
    ),
    refusal(
        "ROW_TOO_DEEP",
        "the record is nested too deeply",
        "Lists and structs lie deeper in each other than JSON is read.",
        "Flatten the column, or write it as text.",
    ),
];
