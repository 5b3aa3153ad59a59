-- after, 1 of 1 columns
`a` > 10

-- upto, 1 of 1 columns
`a` <= 10

-- after, 1 of 2 columns
`a` >= 10

-- upto, 1 of 2 columns
`a` < 10

-- after, 2 of 2 columns
(`a` > 10 OR (`a` = 10 AND `b` > 20))

-- upto, 2 of 2 columns
(`a` < 10 OR (`a` = 10 AND `b` <= 20))

-- after, 1 of 3 columns
`a` >= 10

-- upto, 1 of 3 columns
`a` < 10

-- after, 2 of 3 columns
(`a` > 10 OR (`a` = 10 AND `b` >= 20))

-- upto, 2 of 3 columns
(`a` < 10 OR (`a` = 10 AND `b` < 20))

-- after, 3 of 3 columns
(`a` > 10 OR (`a` = 10 AND (`b` > 20 OR (`b` = 20 AND `c` > 30))))

-- upto, 3 of 3 columns
(`a` < 10 OR (`a` = 10 AND (`b` < 20 OR (`b` = 20 AND `c` <= 30))))

-- open at both ends
TRUE

-- open above
`a` > 1

-- open below
`a` <= 9

-- closed, and a name with a back-quote
`a``b` > 1 AND `a``b` <= 9

