-- What is due is found without a look at each row: in a large plant they are hundreds of thousands.
DROP INDEX plan_order;
CREATE INDEX plan_order ON plan (lang, rank, asset, code, basis);
