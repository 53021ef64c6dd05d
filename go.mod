module github.com/imgbuild/imgbuild

go 1.26.8
