CREATE UNIQUE INDEX IF NOT EXISTS parts_number ON parts (number);
