//! A k-way merge of sorted files of `flows` into batches, one for each hour, in the same order. Not the writing of them.
//!
//! Streams its sources: memory holds the sources' compressed bytes, a window of decoded rows, and what is made.

use crate::error::CommitError;
use crate::reader::{FileRows, open};
use crate::schema::file_fields;
use arrow::array::{Array, ArrayRef, AsArray as _, BooleanArray, DictionaryArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::row::{Row, RowConverter, Rows, SortField};
use futures::TryStreamExt as _;
use object_store::ObjectStore;
use std::collections::BTreeMap;
use std::sync::Arc;
use tradewind_model::field::FieldType;
use tradewind_model::flow::{END_TIME, num_column, text_column};
use tradewind_model::table::FLOWS;
use tradewind_model::time::{DAY, HOUR};
use tradewind_model::{FlowBatch, NumCol, TextCol};

/// Decoded rows of all sources together, about.
const DECODED_ROWS: usize = 64 * 1024;
/// Rows that are brought into their batches at once.
const WINDOW_ROWS: usize = 32 * 1024;
/// The part of rows whose hour does not matter, or whose end is not in the day they are kept under.
const OTHER_DAY: i64 = i64::MIN;

/// How rows are parted into batches.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Parts {
    /// All in one.
    One,
    /// By the hour of their end, in the day that starts at this time (microseconds UTC); rows whose end is not in that day
    /// are a batch of their own.
    HoursOf(i64),
}

/// Merges files. Rows that `keeps` says no of are left out.
pub(crate) async fn merge(
    store: &Arc<dyn ObjectStore>,
    paths: &[&str],
    parts: Parts,
    keeps: Option<&Filter>,
) -> Result<Vec<FlowBatch>, CommitError> {
    let layout = Layout::new();
    let batch_rows = (DECODED_ROWS / paths.len().max(1)).clamp(256, 8192);
    let mut cursors = Vec::with_capacity(paths.len());
    for path in paths {
        let stream = open(store, &FLOWS, path, batch_rows, None).await?;
        let mut cursor =
            Cursor { path: (*path).to_owned(), stream, batch: None, kept: None, keys: None, row: 0, slot: None };
        if cursor.load(&layout, keeps).await? {
            cursors.push(cursor);
        }
    }
    let mut heap = Heap { cursors, places: Vec::new() };
    heap.build();
    let mut window = Window { batches: Vec::new(), rows: Vec::new(), layout: &layout, parts };
    let mut hours: BTreeMap<i64, FlowBatch> = BTreeMap::new();
    while let Some(place) = heap.first() {
        window.take(&mut heap.cursors[place])?;
        if window.rows.len() >= WINDOW_ROWS {
            window.flush(&mut hours)?;
            heap.cursors.iter_mut().for_each(|cursor| cursor.slot = None);
            tokio::task::yield_now().await;
        }
        let cursor = &mut heap.cursors[place];
        cursor.row += 1;
        let has_more = cursor.keys.as_ref().is_some_and(|keys| cursor.row < keys.num_rows())
            || cursor.load(&layout, keeps).await?;
        heap.advance(has_more);
    }
    window.flush(&mut hours)?;
    Ok(hours.into_values().filter(|batch| !batch.is_empty()).collect())
}

/// Says of the rows of a decoded batch whether they stay.
pub(crate) type Filter = dyn Fn(&RecordBatch) -> Result<BooleanArray, ArrowError> + Send + Sync;

fn laid_out(source: ArrowError) -> CommitError {
    CommitError::Layout { table: FLOWS.name, source }
}

/// Which column of a file is which column of a batch.
struct Layout {
    columns: Vec<Column>,
    /// Places of the columns that the rows are sorted by.
    key: Vec<usize>,
    end_time: usize,
}

enum Column {
    Text(TextCol),
    Number(NumCol),
}

impl Layout {
    fn new() -> Self {
        let columns = file_fields(&FLOWS)
            .map(|field| match field.ty {
                FieldType::Text => Column::Text(text_column(field.name).expect("it is a text of the field table")),
                _ => Column::Number(num_column(field.name).expect("it is a number of the field table")),
            })
            .collect();
        let place = |name: &str| file_fields(&FLOWS).position(|field| field.name == name).expect("a stored column");
        let key = crate::encode::SORTED_BY.iter().map(|name| place(name)).collect();
        Self { columns, key, end_time: place(END_TIME.field().name) }
    }

    /// The keys of the rows of a batch, which sort as the rows do: absent first, texts by their bytes.
    fn keys(&self, batch: &RecordBatch) -> Result<Rows, ArrowError> {
        let columns: Vec<ArrayRef> = self.key.iter().map(|&place| Arc::clone(batch.column(place))).collect();
        let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
        RowConverter::new(fields)?.convert_columns(&columns)
    }
}

/// Where the merge is in one file.
struct Cursor {
    path: String,
    stream: FileRows,
    batch: Option<RecordBatch>,
    /// Which rows of `batch` stay, when not all do.
    kept: Option<BooleanArray>,
    keys: Option<Rows>,
    row: usize,
    /// The place of `batch` in the window, when rows of it are there.
    slot: Option<u32>,
}

impl Cursor {
    /// Reads the next rows. False: there are none.
    async fn load(&mut self, layout: &Layout, keeps: Option<&Filter>) -> Result<bool, CommitError> {
        let failed = |source| CommitError::Read { table: FLOWS.name, path: self.path.clone(), source };
        let before = self.keys.take();
        (self.row, self.slot) = (0, None);
        loop {
            self.batch = self.stream.try_next().await.map_err(failed)?;
            let Some(batch) = &self.batch else { return Ok(false) };
            if batch.num_rows() == 0 {
                continue;
            }
            let keys = layout.keys(batch).map_err(laid_out)?;
            let last = before.as_ref().map(|before| before.row(before.num_rows() - 1));
            let follows = last.is_none_or(|last| last <= keys.row(0));
            if !follows || (1..keys.num_rows()).any(|row| keys.row(row) < keys.row(row - 1)) {
                return Err(CommitError::Unsorted { table: FLOWS.name, path: self.path.clone() });
            }
            self.kept = keeps.map(|keeps| keeps(batch)).transpose().map_err(laid_out)?;
            self.keys = Some(keys);
            return Ok(true);
        }
    }

    fn key(&self) -> Option<Row<'_>> {
        self.keys.as_ref().map(|keys| keys.row(self.row))
    }
}

/// The cursors by the key of their row: a binary heap, its least in front. Equal keys come in the order of the files.
struct Heap {
    cursors: Vec<Cursor>,
    places: Vec<usize>,
}

impl Heap {
    fn build(&mut self) {
        self.places = (0..self.cursors.len()).collect();
        for index in (0..self.places.len() / 2).rev() {
            self.sink(index);
        }
    }

    fn first(&self) -> Option<usize> {
        self.places.first().copied()
    }

    /// Puts the first cursor where its new row belongs, or takes it out.
    fn advance(&mut self, has_more: bool) {
        if !has_more {
            self.places.swap_remove(0);
        }
        self.sink(0);
    }

    fn is_before(&self, left: usize, right: usize) -> bool {
        let [left, right] = [self.places[left], self.places[right]];
        (self.cursors[left].key(), left) < (self.cursors[right].key(), right)
    }

    fn sink(&mut self, mut index: usize) {
        loop {
            let children = [2 * index + 1, 2 * index + 2];
            let mut least = index;
            for child in children.into_iter().filter(|&child| child < self.places.len()) {
                if self.is_before(child, least) {
                    least = child;
                }
            }
            if least == index {
                return;
            }
            self.places.swap(index, least);
            index = least;
        }
    }
}

/// Rows that are merged but not yet in their batches.
struct Window<'a> {
    batches: Vec<RecordBatch>,
    rows: Vec<(u32, u32)>,
    layout: &'a Layout,
    parts: Parts,
}

impl Window<'_> {
    fn take(&mut self, cursor: &mut Cursor) -> Result<(), CommitError> {
        let Some(batch) = &cursor.batch else { return Ok(()) };
        if cursor.kept.as_ref().is_some_and(|kept| !kept.value(cursor.row)) {
            return Ok(());
        }
        let too_many = |_| laid_out(ArrowError::ComputeError("more than 4 G rows in a window".to_owned()));
        let slot = match cursor.slot {
            Some(slot) => slot,
            None => {
                self.batches.push(batch.clone());
                *cursor.slot.insert(u32::try_from(self.batches.len() - 1).map_err(too_many)?)
            }
        };
        self.rows.push((slot, u32::try_from(cursor.row).map_err(too_many)?));
        Ok(())
    }

    fn flush(&mut self, hours: &mut BTreeMap<i64, FlowBatch>) -> Result<(), CommitError> {
        let mut by_hour: BTreeMap<i64, Vec<(u32, u32)>> = BTreeMap::new();
        let ends: Vec<Int64Array> = self
            .batches
            .iter()
            .map(|batch| numbers(batch.column(self.layout.end_time)))
            .collect::<Result<_, _>>()
            .map_err(laid_out)?;
        for &(slot, row) in &self.rows {
            let end = ends[slot as usize].value(row as usize);
            by_hour.entry(self.hour(end)).or_default().push((slot, row));
        }
        for (hour, rows) in by_hour {
            self.append(hours.entry(hour).or_default(), &rows).map_err(laid_out)?;
        }
        self.batches.clear();
        self.rows.clear();
        Ok(())
    }

    fn hour(&self, end: i64) -> i64 {
        match self.parts {
            Parts::HoursOf(day) if end >= day && end < day.saturating_add(DAY) => end.div_euclid(HOUR),
            Parts::HoursOf(_) | Parts::One => OTHER_DAY,
        }
    }

    /// Adds rows, column by column.
    fn append(&self, flows: &mut FlowBatch, rows: &[(u32, u32)]) -> Result<(), ArrowError> {
        let first = flows.len();
        for (place, column) in self.layout.columns.iter().enumerate() {
            let is_absent =
                self.batches.iter().all(|batch| batch.column(place).logical_null_count() == batch.num_rows());
            if is_absent {
                continue;
            }
            match *column {
                Column::Text(column) => {
                    let texts = self.batches.iter().map(|batch| texts(batch.column(place)));
                    let texts: Vec<_> = texts.collect::<Result<_, _>>()?;
                    let mut codes: Vec<Vec<Option<u32>>> =
                        texts.iter().map(|column| vec![None; column.values().len()]).collect();
                    let target = flows.text_mut(column);
                    for (index, &(slot, row)) in rows.iter().enumerate() {
                        let source = &texts[slot as usize];
                        let Some(key) = source.key(row as usize) else { continue };
                        let values = source.values().as_string::<i32>();
                        let code = *codes[slot as usize][key].get_or_insert_with(|| target.intern(values.value(key)));
                        target.set(first + index, code);
                    }
                }
                Column::Number(column) => {
                    let numbers = self.batches.iter().map(|batch| numbers(batch.column(place)));
                    let numbers: Vec<_> = numbers.collect::<Result<_, _>>()?;
                    let target = flows.num_mut(column);
                    for (index, &(slot, row)) in rows.iter().enumerate() {
                        let source = &numbers[slot as usize];
                        if source.is_valid(row as usize) {
                            target.set(first + index, source.value(row as usize));
                        }
                    }
                }
            }
        }
        flows.extend_rows(rows.len());
        Ok(())
    }
}

fn numbers(column: &ArrayRef) -> Result<Int64Array, ArrowError> {
    Ok(cast(column, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
}

fn texts(column: &ArrayRef) -> Result<DictionaryArray<Int32Type>, ArrowError> {
    let wanted = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    Ok(cast(column, &wanted)?.as_dictionary::<Int32Type>().clone())
}
