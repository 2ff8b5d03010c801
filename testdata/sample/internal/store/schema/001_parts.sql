CREATE TABLE IF NOT EXISTS parts (
    id     TEXT PRIMARY KEY,
    number TEXT NOT NULL,
    name   TEXT NOT NULL,
    stock  INTEGER NOT NULL CHECK (stock >= 0)
);
