"""Operations on a part of a value: what each does, without a store and without I/O."""
