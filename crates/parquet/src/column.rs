//! A column of a row group, decoded a batch of rows at a time into buffers that are reused.

use parquet::column::page::PageReader;
use parquet::column::reader::{ColumnReaderImpl, get_column_reader};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArrayType, FloatType, Int32Type, Int64Type,
    Int96, Int96Type,
};
use parquet::errors::ParquetError;
use parquet::schema::types::ColumnDescPtr;

use crate::error::{Error, guarded};
use crate::kind::{Fault, Kind, Value};

/// How many rows of lists are decoded at once to pass over them.
const SKIP: usize = 128;

/// A reader of the parquet crate, and the values of the batch.
struct Typed<T: DataType> {
    reader: ColumnReaderImpl<T>,
    values: Vec<T::T>,
}

enum Data {
    Bool(Typed<BoolType>),
    I32(Typed<Int32Type>),
    I64(Typed<Int64Type>),
    I96(Typed<Int96Type>),
    F32(Typed<FloatType>),
    F64(Typed<DoubleType>),
    Bytes(Typed<ByteArrayType>),
    Fixed(Typed<FixedLenByteArrayType>),
}

/// Calls one method of whatever reader it is.
macro_rules! with {
    ($data:expr, $typed:ident => $call:expr) => {
        match $data {
            Data::Bool($typed) => $call,
            Data::I32($typed) => $call,
            Data::I64($typed) => $call,
            Data::I96($typed) => $call,
            Data::F32($typed) => $call,
            Data::F64($typed) => $call,
            Data::Bytes($typed) => $call,
            Data::Fixed($typed) => $call,
        }
    };
}

/// A column, and where the records being built stand in its batch.
pub(crate) struct Column {
    /// Its path, for messages.
    name: String,
    kind: Kind,
    max_def: i16,
    has_rep: bool,
    data: Data,
    def: Vec<i16>,
    rep: Vec<i16>,
    levels: usize,
    at: usize,
    value_at: usize,
}

impl<T: DataType> Typed<T> {
    fn read(
        &mut self,
        rows: usize,
        def: &mut Vec<i16>,
        rep: &mut Vec<i16>,
    ) -> Result<(usize, usize, usize), ParquetError> {
        self.values.clear();
        self.reader.read_records(rows, Some(def), Some(rep), &mut self.values)
    }
}

impl Column {
    /// A column that reads its pages from `pages`.
    ///
    /// # Errors
    /// Those of [`Kind::of`].
    pub(crate) fn new(column: &ColumnDescPtr, pages: Box<dyn PageReader>) -> Result<Self, Error> {
        use parquet::column::reader::ColumnReader as R;
        fn typed<T: DataType>(reader: ColumnReaderImpl<T>) -> Typed<T> {
            Typed { reader, values: Vec::new() }
        }
        Ok(Self {
            name: column.path().string(),
            kind: Kind::of(column)?,
            max_def: column.max_def_level(),
            has_rep: column.max_rep_level() > 0,
            data: match get_column_reader(column.clone(), pages) {
                R::BoolColumnReader(reader) => Data::Bool(typed(reader)),
                R::Int32ColumnReader(reader) => Data::I32(typed(reader)),
                R::Int64ColumnReader(reader) => Data::I64(typed(reader)),
                R::Int96ColumnReader(reader) => Data::I96(typed(reader)),
                R::FloatColumnReader(reader) => Data::F32(typed(reader)),
                R::DoubleColumnReader(reader) => Data::F64(typed(reader)),
                R::ByteArrayColumnReader(reader) => Data::Bytes(typed(reader)),
                R::FixedLenByteArrayColumnReader(reader) => Data::Fixed(typed(reader)),
            },
            def: Vec::new(),
            rep: Vec::new(),
            levels: 0,
            at: 0,
            value_at: 0,
        })
    }

    /// The path of the column.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The number of levels in the batch: its rows, and for lists the elements.
    pub(crate) fn levels(&self) -> usize {
        self.levels
    }

    /// Passes over rows.
    ///
    /// # Errors
    /// `Damaged`, also if there are fewer rows.
    pub(crate) fn skip(&mut self, mut rows: usize) -> Result<(), Error> {
        // In lists, `skip_records` never ends if a page has fewer levels than it says; `read_records` finds it out.
        while self.has_rep && rows > 0 {
            let some = rows.min(SKIP);
            self.read(some)?;
            rows -= some;
        }
        let Self { name, data, .. } = self;
        let skipped = guarded(&format!("column {name}"), || with!(data, typed => typed.reader.skip_records(rows)))?;
        self.all(skipped, rows)
    }

    /// Replaces the batch by the next rows.
    ///
    /// # Errors
    /// `Damaged`, also if there are fewer rows.
    pub(crate) fn read(&mut self, rows: usize) -> Result<(), Error> {
        self.def.clear();
        self.rep.clear();
        (self.at, self.value_at) = (0, 0);
        let Self { name, data, def, rep, .. } = self;
        let (read, _, levels) =
            guarded(&format!("column {name}"), || with!(data, typed => typed.read(rows, def, rep)))?;
        self.levels = levels;
        self.all(read, rows)
    }

    fn all(&self, found: usize, rows: usize) -> Result<(), Error> {
        if found == rows {
            return Ok(());
        }
        Err(Error::damaged(format!("column {} has {} rows less than its row group", self.name, rows - found.min(rows))))
    }

    /// The definition level of the next value; `None` at the end of the batch.
    pub(crate) fn def(&self) -> Option<i16> {
        if self.max_def == 0 { (self.at < self.levels).then_some(0) } else { self.def.get(self.at).copied() }
    }

    /// The repetition level of the next value; 0 at the end of the batch, where the next record begins.
    pub(crate) fn rep(&self) -> i16 {
        if self.has_rep { self.rep.get(self.at).copied().unwrap_or(0) } else { 0 }
    }

    /// Whether the batch is used up.
    pub(crate) fn is_spent(&self) -> bool {
        self.at == self.levels
    }

    /// Passes over the next value, which something around it makes NULL. `Err` if it is a value after all.
    pub(crate) fn pass(&mut self) -> Result<(), Missing> {
        let def = self.def().ok_or(Missing)?;
        self.at += 1;
        if def < self.max_def { Ok(()) } else { Err(Missing) }
    }

    /// Appends the next value, which may be NULL, and passes over it.
    ///
    /// # Errors
    /// `Missing` if there is none.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>) -> Result<Option<Fault>, Missing> {
        let def = self.def().ok_or(Missing)?;
        self.at += 1;
        if def < self.max_def {
            out.extend_from_slice(b"null");
            return Ok(None);
        }
        let value = self.value(self.value_at).ok_or(Missing)?;
        let fault = self.kind.write(value, out);
        self.value_at += 1;
        Ok(fault)
    }

    fn value(&self, at: usize) -> Option<Value<'_>> {
        Some(match &self.data {
            Data::Bool(typed) => Value::Bool(*typed.values.get(at)?),
            Data::I32(typed) => Value::I32(*typed.values.get(at)?),
            Data::I64(typed) => Value::I64(*typed.values.get(at)?),
            Data::I96(typed) => Value::I96(typed.values.get(at).map(Int96::data)?),
            Data::F32(typed) => Value::F32(*typed.values.get(at)?),
            Data::F64(typed) => Value::F64(*typed.values.get(at)?),
            Data::Bytes(typed) => bytes(typed.values.get(at)?)?,
            Data::Fixed(typed) => bytes(typed.values.get(at)?)?,
        })
    }
}

/// The bytes of a value; one that was never set would panic when it is asked for them.
fn bytes(array: &ByteArray) -> Option<Value<'_>> {
    (*array != ByteArray::new()).then(|| Value::Bytes(array.data()))
}

/// A column has fewer values than the columns beside it, or than its own levels say.
pub(crate) struct Missing;
