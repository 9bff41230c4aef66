/* Row packets of MySQL's text protocol, turned into INSERT statements and a row digest; and such statements judged.
 *
 * The same as PythonRowEncoder in encode.py, byte for byte, and as python_are_rows in rows_text.py; tests/unit and
 * tests/fuzz hold them together.
 * The input comes from a server: every read is checked against the end of the packet, and every packet against
 * the end of what has arrived. Nothing is allocated per row: three buffers grow and stay.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

#define HEADER_BYTES 4
#define CONTINUED 0xFFFFFF
#define STATEMENT_BYTES (16 * 1024)
#define HEX_LIMIT (1024 * 1024)
#define EOF_MAXIMUM 9

typedef struct {
    unsigned char *bytes;
    size_t length;
    size_t capacity;
} Buffer;

typedef enum { FINE = 0, NO_MEMORY, SHORT_ROW, LONG_ROW, BAD_LENGTH, TRAILING } Status;

typedef struct {
    PyObject_HEAD
    char *kinds;            /* one letter a column; NULL: count and digest only */
    size_t columns;
    unsigned char *head;    /* INSERT INTO … VALUES */
    size_t head_length;
    Buffer rest;            /* packets that have not arrived whole */
    Buffer row;             /* the payload of a row that continues over packets */
    Buffer out;             /* finished statements, then the open one */
    size_t open_at;         /* where the open statement starts in `out` */
    int open;
    int in_row;             /* the last packet continues in the next one */
    int busy;
    size_t needed;
    unsigned long long rows;
    uint64_t digest;
    size_t largest;
    unsigned long long sql_bytes;
    int finished;
    PyObject *error;
} Encoder;

static PyObject *PacketError;

/* ---- buffers ---- */

static int
reserve(Buffer *buffer, size_t more)
{
    if (more > SIZE_MAX / 4 - buffer->length) {
        return -1;
    }
    size_t wanted = buffer->length + more;
    if (wanted <= buffer->capacity) {
        return 0;
    }
    size_t capacity = buffer->capacity ? buffer->capacity : 64 * 1024;
    while (capacity < wanted) {
        capacity += capacity / 2;
    }
    unsigned char *bytes = PyMem_RawRealloc(buffer->bytes, capacity);
    if (bytes == NULL) {
        return -1;
    }
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return 0;
}

static int
append(Buffer *buffer, const unsigned char *bytes, size_t length)
{
    if (length == 0) {
        return 0;
    }
    if (reserve(buffer, length) < 0) {
        return -1;
    }
    memcpy(buffer->bytes + buffer->length, bytes, length);
    buffer->length += length;
    return 0;
}

/* An oversized row must not keep its memory for the rest of the table. */
static void
shrink(Buffer *buffer)
{
    const size_t enough = 4 * 1024 * 1024;
    if (buffer->capacity > enough && buffer->length <= enough / 2) {
        unsigned char *bytes = PyMem_RawRealloc(buffer->bytes, enough);
        if (bytes != NULL) {
            buffer->bytes = bytes;
            buffer->capacity = enough;
        }
    }
}

/* ---- XXH64, as specified in xxhash's doc/xxhash_spec.md, with seed 0 ---- */

#define PRIME_1 0x9E3779B185EBCA87ULL
#define PRIME_2 0xC2B2AE3D27D4EB4FULL
#define PRIME_3 0x165667B19E3779F9ULL
#define PRIME_4 0x85EBCA77C2B2AE63ULL
#define PRIME_5 0x27D4EB2F165667C5ULL

static inline uint64_t
rotate(uint64_t value, int bits)
{
    return (value << bits) | (value >> (64 - bits));
}

static inline uint64_t
little_endian(const unsigned char *bytes, int count)
{
    uint64_t value = 0;
    for (int i = count - 1; i >= 0; i--) {
        value = (value << 8) | bytes[i];
    }
    return value;
}

static inline uint64_t
read_64(const unsigned char *bytes)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
#else
    return little_endian(bytes, 8);
#endif
}

static inline uint64_t
accumulate(uint64_t accumulator, uint64_t lane)
{
    return rotate(accumulator + lane * PRIME_2, 31) * PRIME_1;
}

static uint64_t
xxh64(const unsigned char *bytes, size_t length)
{
    const unsigned char *end = bytes + length;
    uint64_t hash;
    if (length >= 32) {
        uint64_t lanes[4] = {PRIME_1 + PRIME_2, PRIME_2, 0, 0 - PRIME_1};
        do {
            for (int i = 0; i < 4; i++) {
                lanes[i] = accumulate(lanes[i], read_64(bytes + 8 * i));
            }
            bytes += 32;
        } while (end - bytes >= 32);
        hash = rotate(lanes[0], 1) + rotate(lanes[1], 7) + rotate(lanes[2], 12) + rotate(lanes[3], 18);
        for (int i = 0; i < 4; i++) {
            hash = (hash ^ accumulate(0, lanes[i])) * PRIME_1 + PRIME_4;
        }
    }
    else {
        hash = PRIME_5;
    }
    hash += (uint64_t)length;
    for (; end - bytes >= 8; bytes += 8) {
        hash = rotate(hash ^ accumulate(0, read_64(bytes)), 27) * PRIME_1 + PRIME_4;
    }
    if (end - bytes >= 4) {
        hash = rotate(hash ^ (little_endian(bytes, 4) * PRIME_1), 23) * PRIME_2 + PRIME_3;
        bytes += 4;
    }
    for (; bytes < end; bytes++) {
        hash = rotate(hash ^ (*bytes * PRIME_5), 11) * PRIME_1;
    }
    hash = (hash ^ (hash >> 33)) * PRIME_2;
    hash = (hash ^ (hash >> 29)) * PRIME_3;
    return hash ^ (hash >> 32);
}

/* ---- values: each writer has room for the longest form of its value ---- */

static const char escapes[256] = {
    ['\0'] = '0', ['\n'] = 'n', ['\r'] = 'r', ['\\'] = '\\', ['\''] = '\'', [0x1a] = 'Z',
};

static unsigned char *
write_quoted(unsigned char *out, const unsigned char *value, size_t length)
{
    *out++ = '\'';
    size_t start = 0;
    for (size_t i = 0; i < length; i++) {
        char escape = escapes[value[i]];
        if (escape) {
            memcpy(out, value + start, i - start);
            out += i - start;
            *out++ = '\\';
            *out++ = (unsigned char)escape;
            start = i + 1;
        }
    }
    memcpy(out, value + start, length - start);
    out += length - start;
    *out++ = '\'';
    return out;
}

static unsigned char *
write_bytes(unsigned char *out, const unsigned char *value, size_t length)
{
    static const char digits[] = "0123456789ABCDEF";
    if (length == 0) {
        memcpy(out, "''", 2); /* a bare 0x is a syntax error */
        return out + 2;
    }
    if (length > HEX_LIMIT) {
        memcpy(out, "_binary ", 8);
        return write_quoted(out + 8, value, length);
    }
    *out++ = '0';
    *out++ = 'x';
    for (size_t i = 0; i < length; i++) {
        *out++ = (unsigned char)digits[value[i] >> 4];
        *out++ = (unsigned char)digits[value[i] & 15];
    }
    return out;
}

static unsigned char *
write_value(unsigned char *out, char kind, const unsigned char *value, size_t length)
{
    switch (kind) {
    case 't':
        return write_quoted(out, value, length);
    case 'x':
        return write_bytes(out, value, length);
    case 'd':
        if (length == 2 && value[0] == '-' && value[1] == '0') {
            memcpy(out, "-0e0", 4); /* a bare -0 is the integer 0 */
            return out + 4;
        }
        /* fall through */
    default:
        memcpy(out, value, length);
        return out + length;
    }
}

/* ---- rows ---- */

/* Reads a length-encoded integer that is not NULL; returns 0 when the payload ends before it does. */
static int
read_length(const unsigned char **position, const unsigned char *end, uint64_t *length)
{
    unsigned char first = *(*position)++;
    if (first < 0xFB) {
        *length = first;
        return 1;
    }
    int width = first == 0xFC ? 2 : first == 0xFD ? 3 : 8;
    if (end - *position < width) {
        return 0;
    }
    *length = little_endian(*position, width);
    *position += width;
    return 1;
}

static Status
write_row(Encoder *self, const unsigned char *payload, size_t size)
{
    const unsigned char *position = payload;
    const unsigned char *end = payload + size;
    if (reserve(&self->out, 2 * size + 12 * self->columns + self->head_length + 16) < 0) {
        return NO_MEMORY;
    }
    unsigned char *out = self->out.bytes + self->out.length;
    if (self->open) {
        *out++ = ',';
    }
    else {
        self->open_at = self->out.length;
        self->open = 1;
        memcpy(out, self->head, self->head_length);
        out += self->head_length;
    }
    *out++ = '(';
    for (size_t column = 0; column < self->columns; column++) {
        if (column) {
            *out++ = ',';
        }
        if (position >= end) {
            return SHORT_ROW;
        }
        if (*position == 0xFB) {
            position++;
            memcpy(out, "NULL", 4);
            out += 4;
            continue;
        }
        if (*position == 0xFF) {
            return BAD_LENGTH;
        }
        uint64_t length;
        if (!read_length(&position, end, &length)) {
            return SHORT_ROW;
        }
        if (length > (uint64_t)(end - position)) {
            return SHORT_ROW;
        }
        out = write_value(out, self->kinds[column], position, (size_t)length);
        position += length;
    }
    if (position != end) {
        return LONG_ROW;
    }
    *out++ = ')';
    self->out.length = (size_t)(out - self->out.bytes);
    return FINE;
}

static Status
close_statement(Encoder *self)
{
    if (!self->open) {
        return FINE;
    }
    if (append(&self->out, (const unsigned char *)";\n", 2) < 0) {
        return NO_MEMORY;
    }
    size_t length = self->out.length - self->open_at;
    if (length - 2 > self->largest) {
        self->largest = length - 2;
    }
    self->sql_bytes += length;
    self->open = 0;
    self->open_at = self->out.length;
    return FINE;
}

/* What PythonRowEncoder counts as the statement's length: its head, and each row with a separator. */
static inline size_t
statement_length(const Encoder *self)
{
    return self->open ? self->out.length - self->open_at + 1 : 0;
}

static Status
take_packet(Encoder *self, const unsigned char *payload, size_t size, const unsigned char **error, size_t *error_size)
{
    if (size && payload[0] == 0xFF) {
        *error = payload;
        *error_size = size;
        return FINE;
    }
    if (size && payload[0] == 0xFE && size < EOF_MAXIMUM) {
        self->finished = 1;
        return FINE;
    }
    self->rows++;
    self->digest += xxh64(payload, size);
    if (self->kinds == NULL) {
        return FINE;
    }
    if (statement_length(self) >= STATEMENT_BYTES && close_statement(self) != FINE) {
        return NO_MEMORY;
    }
    return write_row(self, payload, size);
}

/* Takes whole packets from the input; returns how much was used in *used. Runs without the GIL. */
static Status
take_packets(Encoder *self, const unsigned char *data, size_t size, size_t *used, const unsigned char **error,
             size_t *error_size)
{
    size_t position = 0;
    Status status = FINE;
    self->needed = HEADER_BYTES;
    while (size - position >= HEADER_BYTES && !self->finished && *error == NULL && status == FINE) {
        size_t length = (size_t)little_endian(data + position, 3);
        if (size - position - HEADER_BYTES < length) {
            self->needed = length + HEADER_BYTES;
            break;
        }
        const unsigned char *payload = data + position + HEADER_BYTES;
        position += HEADER_BYTES + length;
        if (length == CONTINUED || self->in_row) {
            if (append(&self->row, payload, length) < 0) {
                status = NO_MEMORY;
                break;
            }
            self->in_row = length == CONTINUED;
            if (self->in_row) {
                continue;
            }
            status = take_packet(self, self->row.bytes, self->row.length, error, error_size);
            if (*error == NULL) {
                self->row.length = 0;
                shrink(&self->row);
            }
        }
        else {
            status = take_packet(self, payload, length, error, error_size);
        }
    }
    if (status == FINE && self->finished && position < size) {
        status = TRAILING;
    }
    *used = position;
    return status;
}

static PyObject *
raise_status(Status status)
{
    switch (status) {
    case NO_MEMORY:
        return PyErr_NoMemory();
    case SHORT_ROW:
        PyErr_SetString(PacketError, "a row ends in the middle of a column");
        return NULL;
    case LONG_ROW:
        PyErr_SetString(PacketError, "a row has more or fewer columns than were asked for");
        return NULL;
    case BAD_LENGTH:
        PyErr_SetString(PacketError, "a column starts with 0xFF");
        return NULL;
    default:
        PyErr_SetString(PacketError, "bytes follow the end of the result");
        return NULL;
    }
}

/* Hands out what is finished and moves the open statement to the front. */
static PyObject *
hand_out(Encoder *self)
{
    size_t done = self->open ? self->open_at : self->out.length;
    PyObject *statements = PyBytes_FromStringAndSize((const char *)self->out.bytes, (Py_ssize_t)done);
    if (statements == NULL) {
        return NULL;
    }
    if (done) {
        memmove(self->out.bytes, self->out.bytes + done, self->out.length - done);
        self->out.length -= done;
        self->open_at = 0;
        shrink(&self->out);
    }
    return statements;
}

static PyObject *
feed(Encoder *self, PyObject *argument)
{
    Py_buffer view;
    if (self->busy) {
        PyErr_SetString(PyExc_RuntimeError, "a RowEncoder is for one thread at a time");
        return NULL;
    }
    if (PyObject_GetBuffer(argument, &view, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    self->busy = 1;
    Status status = FINE;
    const unsigned char *error = NULL;
    size_t error_size = 0;
    PyObject *statements = NULL;

    Py_BEGIN_ALLOW_THREADS
    const unsigned char *data = view.buf;
    size_t size = (size_t)view.len, used = 0;
    int from_rest = self->rest.length > 0;
    if (from_rest) {
        if (append(&self->rest, data, size) < 0) {
            status = NO_MEMORY;
        }
        data = self->rest.bytes;
        size = self->rest.length;
    }
    if (status == FINE && size >= self->needed) {
        status = take_packets(self, data, size, &used, &error, &error_size);
    }
    if (status == FINE && error == NULL) {
        if (from_rest) {
            memmove(self->rest.bytes, self->rest.bytes + used, size - used);
            self->rest.length = size - used;
            shrink(&self->rest);
        }
        else if (append(&self->rest, data + used, size - used) < 0) {
            status = NO_MEMORY;
        }
    }
    Py_END_ALLOW_THREADS

    if (status != FINE) {
        raise_status(status);
    }
    else if (error != NULL) {
        PyObject *payload = PyBytes_FromStringAndSize((const char *)error, (Py_ssize_t)error_size);
        if (payload != NULL) {
            Py_XSETREF(self->error, payload);
            statements = hand_out(self);
        }
    }
    else {
        statements = hand_out(self);
    }
    PyBuffer_Release(&view);
    self->busy = 0;
    return statements;
}

static PyObject *
cut(Encoder *self, PyObject *Py_UNUSED(ignored))
{
    if (self->busy) {
        PyErr_SetString(PyExc_RuntimeError, "a RowEncoder is for one thread at a time");
        return NULL;
    }
    if (close_statement(self) != FINE) {
        return PyErr_NoMemory();
    }
    return hand_out(self);
}

/* ---- judging the rows of a statement, which may come from anybody ---- */

static const unsigned char *
skip_digits(const unsigned char *position, const unsigned char *end)
{
    while (position < end && *position >= '0' && *position <= '9') {
        position++;
    }
    return position;
}

/* Each of these returns where what it skips ends, or NULL where it is not as the encoder writes it. */

static const unsigned char *
skip_quoted(const unsigned char *position, const unsigned char *end)
{
    while (position < end) {
        unsigned char byte = *position++;
        if (!escapes[byte]) {
            continue;
        }
        if (byte == '\'') {
            return position;
        }
        if (byte != '\\' || position == end || !memchr("0nr\\'Z", *position, 6)) {
            return NULL;
        }
        position++;
    }
    return NULL;
}

static const unsigned char *
skip_hexadecimal(const unsigned char *position, const unsigned char *end)
{
    const unsigned char *start = position;
    while (position < end && ((*position >= '0' && *position <= '9') || (*position >= 'A' && *position <= 'F'))) {
        position++;
    }
    return position > start ? position : NULL;
}

static const unsigned char *
skip_number(const unsigned char *position, const unsigned char *end)
{
    const unsigned char *start = position += position < end && *position == '-';
    position = skip_digits(position, end);
    if (position == start) {
        return NULL;
    }
    if (position < end && *position == '.') {
        start = ++position;
        position = skip_digits(position, end);
        if (position == start) {
            return NULL;
        }
    }
    if (position < end && *position == 'e') {
        position++;
        start = position += position < end && (*position == '+' || *position == '-');
        position = skip_digits(position, end);
        if (position == start) {
            return NULL;
        }
    }
    return position;
}

static int
begins_with(const unsigned char *position, const unsigned char *end, const char *text, size_t length)
{
    return (size_t)(end - position) >= length && memcmp(position, text, length) == 0;
}

static const unsigned char *
skip_value(const unsigned char *position, const unsigned char *end)
{
    if (begins_with(position, end, "'", 1)) {
        return skip_quoted(position + 1, end);
    }
    if (begins_with(position, end, "NULL", 4)) {
        return position + 4;
    }
    if (begins_with(position, end, "0x", 2)) {
        return skip_hexadecimal(position + 2, end);
    }
    if (begins_with(position, end, "_binary '", 9)) {
        return skip_quoted(position + 9, end);
    }
    return skip_number(position, end);
}

static int
is_rows(const unsigned char *position, const unsigned char *end, Py_ssize_t columns)
{
    for (;;) {
        for (Py_ssize_t column = 0; column < columns; column++) {
            if (position == end || *position++ != (column ? ',' : '(')) {
                return 0;
            }
            position = skip_value(position, end);
            if (position == NULL) {
                return 0;
            }
        }
        if (end - position < 2 || *position++ != ')') {
            return 0;
        }
        if (*position != ',') {
            return *position == ';' && position + 1 == end;
        }
        position++;
    }
}

static PyObject *
are_rows(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    Py_buffer view;
    Py_ssize_t start, columns;
    if (!PyArg_ParseTuple(arguments, "y*nn", &view, &start, &columns)) {
        return NULL;
    }
    int found = 0;
    if (start >= 0 && start <= view.len && columns > 0) {
        Py_BEGIN_ALLOW_THREADS
        const unsigned char *bytes = view.buf;
        found = is_rows(bytes + start, bytes + view.len, columns);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&view);
    return PyBool_FromLong(found);
}

static PyMethodDef functions[] = {
    {"are_rows", are_rows, METH_VARARGS, "Tell whether a statement goes on as rows of so many columns, and ends there."},
    {NULL, NULL, 0, NULL},
};

/* ---- the type ---- */

static int
encoder_init(Encoder *self, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"kinds", "insert_into", NULL};
    const char *kinds = NULL;
    Py_ssize_t columns = 0;
    Py_buffer head = {0};
    if (self->needed) {
        PyErr_SetString(PyExc_RuntimeError, "a RowEncoder is initialised once");
        return -1;
    }
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|z#y*", names, &kinds, &columns, &head)) {
        return -1;
    }
    int result = -1;
    if (kinds != NULL) {
        self->kinds = PyMem_RawMalloc((size_t)columns + 1);
        if (self->kinds == NULL) {
            PyErr_NoMemory();
            goto done;
        }
        memcpy(self->kinds, kinds, (size_t)columns);
        self->columns = (size_t)columns;
    }
    self->head_length = head.buf ? (size_t)head.len : 0;
    self->head = PyMem_RawMalloc(self->head_length + 1);
    if (self->head == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    if (self->head_length) {
        memcpy(self->head, head.buf, self->head_length);
    }
    self->needed = HEADER_BYTES;
    result = 0;
done:
    if (head.obj) {
        PyBuffer_Release(&head);
    }
    return result;
}

static void
encoder_dealloc(Encoder *self)
{
    PyMem_RawFree(self->kinds);
    PyMem_RawFree(self->head);
    PyMem_RawFree(self->rest.bytes);
    PyMem_RawFree(self->row.bytes);
    PyMem_RawFree(self->out.bytes);
    Py_XDECREF(self->error);
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyObject *
get_rows(Encoder *self, void *Py_UNUSED(closure))
{
    return PyLong_FromUnsignedLongLong(self->rows);
}

static PyObject *
get_digest(Encoder *self, void *Py_UNUSED(closure))
{
    return PyLong_FromUnsignedLongLong(self->digest);
}

static PyObject *
get_largest(Encoder *self, void *Py_UNUSED(closure))
{
    return PyLong_FromSize_t(self->largest);
}

static PyObject *
get_sql_bytes(Encoder *self, void *Py_UNUSED(closure))
{
    return PyLong_FromUnsignedLongLong(self->sql_bytes);
}

static PyObject *
get_finished(Encoder *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(self->finished);
}

static PyObject *
get_error(Encoder *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->error ? self->error : Py_None);
}

static PyObject *
get_pending(Encoder *self, void *Py_UNUSED(closure))
{
    return PyLong_FromSize_t(self->rest.length + self->row.length);
}

static PyObject *
get_is_open(Encoder *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(self->open);
}

static PyGetSetDef attributes[] = {
    {"rows", (getter)get_rows, NULL, "Rows read so far.", NULL},
    {"digest", (getter)get_digest, NULL, "The sum, modulo 2^64, of XXH64 over each row's payload.", NULL},
    {"largest", (getter)get_largest, NULL, "The longest statement so far, in bytes.", NULL},
    {"sql_bytes", (getter)get_sql_bytes, NULL, "Bytes of all statements closed so far.", NULL},
    {"finished", (getter)get_finished, NULL, "Whether the server said that the result is complete.", NULL},
    {"error", (getter)get_error, NULL, "The server's ERR packet, or None.", NULL},
    {"pending", (getter)get_pending, NULL, "How many bytes of an unfinished row are held.", NULL},
    {"is_open", (getter)get_is_open, NULL, "Whether cut() would return a statement.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef methods[] = {
    {"feed", (PyCFunction)feed, METH_O, "Take the next bytes of the stream and return the finished statements."},
    {"cut", (PyCFunction)cut, METH_NOARGS, "Return the open statement, closed; nothing if none is open."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "The C implementation of opskit.mysql.encode.PythonRowEncoder."},
    {Py_tp_init, encoder_init},
    {Py_tp_dealloc, encoder_dealloc},
    {Py_tp_getset, attributes},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec specification = {
    .name = "opskit.mysql._encode.RowEncoder",
    .basicsize = sizeof(Encoder),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};

static PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "opskit.mysql._encode",
    .m_doc = "Row packets to SQL, in C.",
    .m_size = -1,
    .m_methods = functions,
};

PyMODINIT_FUNC
PyInit__encode(void)
{
    PyObject *self = PyModule_Create(&module);
    if (self == NULL) {
        return NULL;
    }
    PacketError = PyErr_NewExceptionWithDoc("opskit.mysql._encode.PacketError",
                                            "The bytes are not row packets of as many columns as were asked for.",
                                            PyExc_ValueError, NULL);
    PyObject *type = PyType_FromSpec(&specification);
    if (PacketError == NULL || type == NULL || PyModule_AddObjectRef(self, "PacketError", PacketError) < 0 ||
        PyModule_AddObjectRef(self, "RowEncoder", type) < 0) {
        Py_XDECREF(type);
        Py_DECREF(self);
        return NULL;
    }
    Py_DECREF(type);
    return self;
}
