-- name: get
SELECT marker, device, inode FROM disk WHERE place = :place

-- name: remember
INSERT INTO disk (place, marker, device, inode, since_at) VALUES (:place, :marker, :device, :inode, :at)
ON CONFLICT (place) DO UPDATE SET marker = excluded.marker, device = excluded.device, inode = excluded.inode

-- name: places
SELECT place FROM disk ORDER BY place
