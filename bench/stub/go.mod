module github.com/partway/partway/bench/stub

go 1.22
