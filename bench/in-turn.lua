-- For wrk: sends in turn the requests in a file that follows the URL as argument, a line each: a path, and after a space an Authorization if it has its own.
local requests = {}
local at = 0

function init(arguments)
	local own = wrk.headers['authorization']
	for line in io.lines(arguments[1]) do
		local path, authorization = line:match('^(%S+) ?(.*)$')
		wrk.headers['authorization'] = authorization ~= '' and authorization or own
		requests[#requests + 1] = wrk.format('GET', path)
	end
end

function request()
	at = at % #requests + 1
	return requests[at]
end
