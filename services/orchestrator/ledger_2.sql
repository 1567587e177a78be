-- What a repetition of an alarm asks: whether the manuals are still those of its answer.
-- Generation of the corpus an answer was made from; NULL where that could not be searched.
ALTER TABLE answer ADD COLUMN generation INTEGER;
