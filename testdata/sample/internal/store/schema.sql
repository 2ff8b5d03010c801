CREATE TABLE IF NOT EXISTS parts (
    id     UUID PRIMARY KEY,
    number TEXT NOT NULL UNIQUE,
    name   TEXT NOT NULL,
    stock  INTEGER NOT NULL CHECK (stock >= 0)
);
