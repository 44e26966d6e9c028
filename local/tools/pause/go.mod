module thinkube.local/pause

go 1.25
